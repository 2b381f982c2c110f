using InferenceBatch.Lines;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Tests.Support;
using Microsoft.Extensions.Logging;

namespace InferenceBatch.Server.Tests;

/// <summary>A run without a service whose upstream is unavailable: it ends by itself and can be resumed.</summary>
public sealed class RunOutageTests : IDisposable
{
    private const int Lines = 40;

    private readonly TempFolder _folder = new();
    private readonly FakeTime _time = new() { SkipsWaits = false };
    private readonly LogRecorder _log = new();

    public void Dispose()
    {
        _folder.Dispose();
        _log.Dispose();
    }

    [Fact]
    public async Task A_run_gives_up_after_30_s_if_the_upstream_never_responded_and_loses_nothing()
    {
        int port;
        await using (FaultUpstream once = await FaultUpstream.StartAsync(call => call.OkAsync()))
        {
            port = new Uri(once.Address).Port;
        }

        await AssertGivesUpAsync($"http://127.0.0.1:{port}/v1", TimeSpan.FromSeconds(30), "30 s: The connection to the upstream failed: connection refused.");
        await using FaultUpstream back = await FaultUpstream.StartAsync(call => call.OkAsync(), port);
        (int exitCode, string output, _) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl"), "--upstream", back.Address]);
        Assert.Equal(0, exitCode);
        Assert.Contains($"{Lines} succeeded, 0 failed", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_waits_longer_for_an_upstream_that_has_responded_and_says_so()
    {
        FaultUpstream? upstream = null;
        upstream = await FaultUpstream.StartAsync(async call =>
        {
            await call.OkAsync();
            if (call.Prompt == "prompt 5")
            {
                _ = upstream!.DisposeAsync().AsTask();
            }
        });
        await AssertGivesUpAsync(upstream.Address, TimeSpan.FromMinutes(10), "600 s: ");
        Assert.NotEmpty(await File.ReadAllLinesAsync(_folder.File("in.output.jsonl.partial")));
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
    }

    [Fact]
    public async Task A_run_gives_up_if_the_upstream_closes_every_connection()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Drop());
        await AssertGivesUpAsync(upstream.Address, TimeSpan.FromMinutes(10), "600 s: ", maxAttempts: 100);
    }

    [Theory]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    [InlineData(529)]
    public async Task A_run_waits_for_an_unavailable_server_without_using_an_attempt(int status)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(status, """{"error":{"code":503,"message":"Loading model"}}"""));
        await AssertGivesUpAsync(upstream.Address, TimeSpan.FromMinutes(10), "600 s: It answers", maxAttempts: 1);
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
    }

    [Theory]
    [InlineData(401, "{}")]
    [InlineData(403, "{}")]
    [InlineData(402, "{}")]
    [InlineData(429, """{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}""")]
    public async Task A_run_waits_while_the_key_or_the_account_is_refused_without_using_an_attempt(int status, string body)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(status, body));
        await AssertGivesUpAsync(upstream.Address, TimeSpan.FromMinutes(10), $"600 s: It answers {status}", maxAttempts: 1, told: "until it accepts requests again, for at most 600 s");
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
    }

    /// <summary>An address that has only ever redirected is wrong, so it is useless to wait.</summary>
    [Fact]
    public async Task A_redirect_ends_the_run_at_once()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(302, "", headers: ("Location", "https://elsewhere.example/login")));
        await AssertGivesUpAsync(upstream.Address, TimeSpan.Zero, "The upstream answers with a redirect (302)", told: "The upstream refuses every request");
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
        Assert.InRange(_time.GetUtcNow() - new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), TimeSpan.Zero, TimeSpan.FromSeconds(20));
    }

    private async Task AssertGivesUpAsync(string address, TimeSpan minWait, string said, int maxAttempts = 5, string? told = null)
    {
        FileRunPaths paths = FileRunPaths.Of(_folder.File("in.jsonl", Requests.File(Lines)), null, null);
        var settings = new EngineSettings { Concurrency = 2, MaxAttempts = maxAttempts, GivesUpOnUpstream = true };
        FileStamp stamp = FileStamp.Of(paths.Input);
        using var check = new InputCheck();
        (BatchFileReport report, RequestSpan[] spans) = await check.RunAsync(paths.Input, ValidationRules.LocalService, CancellationToken.None);
        using FileRun run = FileRun.Open(paths, report.Endpoint!, spans, stamp, settings);
        using var logging = new LoggerFactory([_log]);
        using var upstream = new UpstreamControl(UpstreamAddress.Create(address, null, _time), settings, _time, logging.CreateLogger("run"));
        DateTimeOffset start = _time.GetUtcNow();
        Task<bool> ended = run.RunAsync(upstream, _time, logging.CreateLogger("run"), CancellationToken.None);
        while (!ended.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(0.5));
            await Task.Delay(1);
        }

        UpstreamException exception = await Assert.ThrowsAsync<UpstreamException>(() => ended);
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
        Assert.Contains("To resume, run the same command again.", exception.Message, StringComparison.Ordinal);
        Assert.True(_time.GetUtcNow() - start >= minWait);
        Assert.Contains(_log.Lines, line => line.Contains(told ?? $"Lines wait until it is available again, for at most {minWait.TotalSeconds:0} s", StringComparison.Ordinal));
    }
}
