namespace InferenceBatch.Server.Tests.Support;

/// <summary>A test that needs a browser: Chromium on the PATH.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute()
    {
        if (Browser.Find() is null)
        {
            Skip = "There is no Chromium on the PATH, so the page was not looked at in a browser. To get it on Debian: apt-get install chromium";
        }
    }
}
