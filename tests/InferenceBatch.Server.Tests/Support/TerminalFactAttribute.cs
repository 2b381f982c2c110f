namespace InferenceBatch.Server.Tests.Support;

/// <summary>A test that requires a terminal, which <c>script</c> of util-linux provides.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TerminalFactAttribute : FactAttribute
{
    public TerminalFactAttribute()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/usr/bin/script"))
        {
            Skip = "/usr/bin/script, which provides a terminal, does not exist.";
        }
    }
}
