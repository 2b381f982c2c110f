using InferenceBatch.Lines;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Tests.Support;
using Microsoft.Extensions.Logging;

namespace InferenceBatch.Server.Tests;

/// <summary>A run without a service whose upstream is away: it ends by itself, and can be gone on with.</summary>
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
    public async Task One_that_was_never_there_is_given_up_after_half_a_minute_and_nothing_is_lost()
    {
        int port;
        await using (FaultUpstream once = await FaultUpstream.StartAsync(call => call.OkAsync()))
        {
            port = new Uri(once.Address).Port;
        }

        await AssertAwayAsync($"http://127.0.0.1:{port}/v1", TimeSpan.FromSeconds(30), "30 s: The connection to the upstream failed: connection refused.");
        await using FaultUpstream back = await FaultUpstream.StartAsync(call => call.OkAsync(), port);
        (int exitCode, string output, _) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl"), "--upstream", back.Address]);
        Assert.Equal(0, exitCode);
        Assert.Contains($"{Lines} succeeded, 0 failed", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_went_away_is_waited_for_longer_and_that_is_said()
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
        await AssertAwayAsync(upstream.Address, TimeSpan.FromMinutes(10), "600 s: ");
        Assert.NotEmpty(await File.ReadAllLinesAsync(_folder.File("in.output.jsonl.partial")));
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
    }

    [Fact]
    public async Task One_that_breaks_every_connection_is_given_up_too()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Drop());
        await AssertAwayAsync(upstream.Address, TimeSpan.FromMinutes(10), "600 s: ", maxAttempts: 100);
    }

    [Theory]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    [InlineData(529)]
    public async Task A_server_that_only_answers_that_it_is_unavailable_is_waited_for_and_costs_no_attempt(int status)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(status, """{"error":{"code":503,"message":"Loading model"}}"""));
        await AssertAwayAsync(upstream.Address, TimeSpan.FromMinutes(10), "600 s: It answers", maxAttempts: 1);
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
    }

    [Theory]
    [InlineData(401, "{}")]
    [InlineData(403, "{}")]
    [InlineData(402, "{}")]
    [InlineData(429, """{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}""")]
    public async Task A_server_that_refuses_the_key_or_the_account_is_waited_for_and_costs_no_attempt(int status, string body)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(status, body));
        await AssertAwayAsync(upstream.Address, TimeSpan.FromMinutes(10), $"600 s: It answers {status}", maxAttempts: 1, told: "until that is repaired, for 600 s at most");
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
    }

    /// <summary>An address that only ever redirects is wrong: no wait helps.</summary>
    [Fact]
    public async Task One_that_redirects_is_given_up_at_once()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(302, "", headers: ("Location", "https://elsewhere.example/login")));
        await AssertAwayAsync(upstream.Address, TimeSpan.Zero, "The upstream redirects (302)", told: "The upstream refuses every request");
        Assert.Empty(await File.ReadAllLinesAsync(_folder.File("in.errors.jsonl.partial")));
        Assert.InRange(_time.GetUtcNow() - new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), TimeSpan.Zero, TimeSpan.FromSeconds(20));
    }

    private async Task AssertAwayAsync(string address, TimeSpan patience, string said, int maxAttempts = 5, string? told = null)
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
        Assert.Contains("the same command resumes", exception.Message, StringComparison.Ordinal);
        Assert.True(_time.GetUtcNow() - start >= patience);
        Assert.Contains(_log.Lines, line => line.Contains(told ?? $"Lines wait for it, for {patience.TotalSeconds:0} s", StringComparison.Ordinal));
    }
}
