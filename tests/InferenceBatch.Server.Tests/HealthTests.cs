using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary><c>/healthz</c>: whether the service is ready, and otherwise the reason.</summary>
public sealed class HealthTests
{
    private readonly FakeTime _time = new() { SkipsWaits = false };

    [Fact]
    public async Task A_service_without_issues_is_ready()
    {
        await using TestService service = await TestService.StartAsync(time: _time);
        JsonElement health = await service.Api.GetAsync("/healthz");
        Assert.Equal("""{"status":"ready","troubles":[]}""", health.GetRawText());
        Assert.Equal(health.GetRawText(), (await service.Api.GetAsync("healthz")).GetRawText());
    }

    /// <summary>Any caller may request it, so the result is reused for five seconds, and the message contains no path.</summary>
    [Fact]
    public async Task A_data_folder_that_is_not_writable_is_503()
    {
        await using TestService service = await TestService.StartAsync(time: _time);
        await service.Api.GetAsync("/healthz");
        Directory.Delete(Path.Combine(service.DataPath, "temp"), recursive: true);
        await service.Api.GetAsync("/healthz");

        _time.Advance(TimeSpan.FromSeconds(5));
        JsonElement health = await service.Api.GetAsync("/healthz", 503);
        Assert.Equal("not_ready", health.GetProperty("status").GetString());
        JsonElement issue = Assert.Single(health.GetProperty("troubles").EnumerateArray());
        Assert.Equal("storage", issue.GetProperty("kind").GetString());
        string reason = issue.GetProperty("message").GetString()!;
        Assert.Contains("data folder", reason, StringComparison.Ordinal);
        Assert.DoesNotContain(service.DataPath, reason, StringComparison.Ordinal);

        Directory.CreateDirectory(Path.Combine(service.DataPath, "temp"));
        _time.Advance(TimeSpan.FromSeconds(5));
        await service.Api.GetAsync("/healthz");
        Assert.Empty(Directory.GetFiles(Path.Combine(service.DataPath, "temp")));
    }

    /// <summary>The service still accepts batches, which wait, so the status is 200.</summary>
    [Fact]
    public async Task An_upstream_that_is_away_is_reported()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = "http://127.0.0.1:1/v1" }, _time);
        JsonElement health = await service.Api.GetAsync("/healthz");
        Assert.Equal("degraded", health.GetProperty("status").GetString());
        JsonElement issue = Assert.Single(health.GetProperty("troubles").EnumerateArray());
        Assert.Equal(("upstream", new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds()), (issue.GetProperty("kind").GetString(), issue.GetProperty("since").GetInt64()));
        Assert.Contains("The connection to the upstream failed", issue.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(401, "refusing", "key")]
    [InlineData(403, "refusing", "403")]
    [InlineData(503, "away", "503")]
    public async Task An_upstream_that_fails_every_line_is_reported_until_a_line_succeeds(int status, string state, string said)
    {
        bool isUp = false;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => Volatile.Read(ref isUp) ? call.OkAsync() : call.AnswerAsync(status, "{}"));
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = settings.Engine with { MaxAttempts = 1 } });
        string id = await service.Api.SubmitAsync(Requests.File(5));
        JsonElement issue = default;
        await service.Api.UntilAsync(id, _ =>
        {
            JsonElement health = service.Api.GetAsync("/healthz").Result;
            bool isReported = health.GetProperty("troubles").GetArrayLength() == 1;
            issue = isReported ? health.GetProperty("troubles")[0] : default;
            return isReported && health.GetProperty("status").GetString() == "degraded";
        });
        Assert.Equal(("upstream", state), (issue.GetProperty("kind").GetString(), issue.GetProperty("state").GetString()));
        Assert.Contains(said, issue.GetProperty("message").GetString(), StringComparison.Ordinal);

        Volatile.Write(ref isUp, true);
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("""{"total":5,"completed":5,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal("""{"status":"ready","troubles":[]}""", (await service.Api.GetAsync("/healthz")).GetRawText());
    }

    /// <summary>The limit that the last batch reached is outdated when no lines were sent for a while.</summary>
    [Fact]
    public async Task A_limit_that_ended_long_ago_is_not_reported()
    {
        int requests = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            call => Interlocked.Increment(ref requests) == 1 ? call.AnswerAsync(429, "{}", headers: ("Retry-After", "1")) : call.OkAsync());
        // One line at a time, because a single 429 among successes is not a limit of the upstream.
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = settings.Engine with { Concurrency = 1 } }, _time);
        await service.Api.UntilAsync(await service.Api.SubmitAsync(Requests.File(5)), batch =>
        {
            _time.Advance(TimeSpan.FromSeconds(0.1));
            return batch.GetProperty("status").GetString() == "completed";
        });
        JsonElement health = await service.Api.GetAsync("/healthz");
        Assert.Equal("ready", health.GetProperty("status").GetString());
        Assert.Equal("limited", Assert.Single(health.GetProperty("troubles").EnumerateArray()).GetProperty("state").GetString());

        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("""{"status":"ready","troubles":[]}""", (await service.Api.GetAsync("/healthz")).GetRawText());
        Assert.Contains(service.Log.Lines, line => line.Contains("up again", StringComparison.Ordinal));
    }

    /// <summary>A load balancer has no key, and the health contains no data.</summary>
    [Fact]
    public async Task Health_needs_no_key()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["one"] });
        await service.Api.GetAsync("/healthz");
    }
}
