namespace InferenceBatch.Server.Tests.Support;

/// <summary>A test that needs a terminal, which util-linux's <c>script</c> makes.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TerminalFactAttribute : FactAttribute
{
    public TerminalFactAttribute()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/usr/bin/script"))
        {
            Skip = "There is no /usr/bin/script to make a terminal with.";
        }
    }
}
