using InferenceBatch.Server.Tests.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests;

/// <summary>Runs the npm clients of OpenAI, Groq and Llama Stack (tests/compat) against the built service as processes.</summary>
public sealed class NodeClientTests(ITestOutputHelper log)
{
    [NodeFact]
    public async Task Life_cycle_paging_cancel_expiry_and_errors()
    {
        using var folder = new TempFolder();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 1" ? call.OkAsync() : call.StallAsync());
        using ServerProcess echo = ServerProcess.Start(
            ["serve", "--urls", "http://127.0.0.1:0", "--data", folder.File("echo"), "--api-key-env", "COMPAT_KEY"], ("COMPAT_KEY", "compat-key"));
        await echo.ReadyAsync();
        using ServerProcess stalled = await ServerProcess.ServeAsync(folder.File("stalled"), "--upstream", upstream.Address, "--cancel-grace", "0s");
        using ServerProcess brief = await ServerProcess.ServeAsync(folder.File("brief"), "--upstream", upstream.Address, "--completion-window", "2s");
        (int exitCode, string output) = CompatProject.Test(
            ("COMPAT_KEY", "compat-key"), ("COMPAT_ECHO", $"{echo.Address}"), ("COMPAT_STALLED", $"{stalled.Address}"), ("COMPAT_BRIEF", $"{brief.Address}"));
        log.WriteLine(output);
        Assert.True(exitCode == 0, output);
        Assert.Equal(12, System.Text.RegularExpressions.Regex.Count(output, "^✔ ", System.Text.RegularExpressions.RegexOptions.Multiline));
    }
}
