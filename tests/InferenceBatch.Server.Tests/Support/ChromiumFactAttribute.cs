namespace InferenceBatch.Server.Tests.Support;

/// <summary>A test that requires Chromium on the PATH.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute()
    {
        if (Browser.Find() is null)
        {
            Skip = "Chromium is not on the PATH, so the page was not tested in a browser. On Debian, install it with: apt-get install chromium";
        }
    }
}
