using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary><c>/healthz</c>: whether the service is ready, and why not.</summary>
public sealed class HealthTests
{
    private readonly FakeTime _time = new() { SkipsWaits = false };

    [Fact]
    public async Task Ready_without_troubles()
    {
        await using TestService service = await TestService.StartAsync(time: _time);
        JsonElement health = await service.Api.GetAsync("/healthz");
        Assert.Equal("""{"status":"ready","troubles":[]}""", health.GetRawText());
        Assert.Equal(health.GetRawText(), (await service.Api.GetAsync("healthz")).GetRawText());
    }

    /// <summary>Anybody may ask: an answer serves for five seconds, and names no path.</summary>
    [Fact]
    public async Task A_data_folder_that_cannot_be_written_is_503()
    {
        await using TestService service = await TestService.StartAsync(time: _time);
        await service.Api.GetAsync("/healthz");
        Directory.Delete(Path.Combine(service.DataPath, "temp"), recursive: true);
        await service.Api.GetAsync("/healthz");

        _time.Advance(TimeSpan.FromSeconds(5));
        JsonElement health = await service.Api.GetAsync("/healthz", 503);
        Assert.Equal("not_ready", health.GetProperty("status").GetString());
        JsonElement trouble = Assert.Single(health.GetProperty("troubles").EnumerateArray());
        Assert.Equal("storage", trouble.GetProperty("kind").GetString());
        string reason = trouble.GetProperty("message").GetString()!;
        Assert.Contains("data folder", reason, StringComparison.Ordinal);
        Assert.DoesNotContain(service.DataPath, reason, StringComparison.Ordinal);

        Directory.CreateDirectory(Path.Combine(service.DataPath, "temp"));
        _time.Advance(TimeSpan.FromSeconds(5));
        await service.Api.GetAsync("/healthz");
        Assert.Empty(Directory.GetFiles(Path.Combine(service.DataPath, "temp")));
    }

    /// <summary>Batches are taken all the same and wait: so it is 200, with the reason.</summary>
    [Fact]
    public async Task An_upstream_that_is_away_is_said()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = "http://127.0.0.1:1/v1" }, _time);
        JsonElement health = await service.Api.GetAsync("/healthz");
        Assert.Equal("degraded", health.GetProperty("status").GetString());
        JsonElement trouble = Assert.Single(health.GetProperty("troubles").EnumerateArray());
        Assert.Equal(("upstream", new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds()), (trouble.GetProperty("kind").GetString(), trouble.GetProperty("since").GetInt64()));
        Assert.Contains("The connection to the upstream failed", trouble.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(401, "refusing", "key")]
    [InlineData(403, "refusing", "403")]
    [InlineData(503, "away", "503")]
    public async Task An_upstream_that_no_line_gets_past_is_said_until_one_does(int status, string state, string said)
    {
        bool isWell = false;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => Volatile.Read(ref isWell) ? call.OkAsync() : call.AnswerAsync(status, "{}"));
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = settings.Engine with { MaxAttempts = 1 } });
        string id = await service.Api.SubmitAsync(Requests.File(5));
        JsonElement trouble = default;
        await service.Api.UntilAsync(id, _ =>
        {
            JsonElement health = service.Api.GetAsync("/healthz").Result;
            bool isSaid = health.GetProperty("troubles").GetArrayLength() == 1;
            trouble = isSaid ? health.GetProperty("troubles")[0] : default;
            return isSaid && health.GetProperty("status").GetString() == "degraded";
        });
        Assert.Equal(("upstream", state), (trouble.GetProperty("kind").GetString(), trouble.GetProperty("state").GetString()));
        Assert.Contains(said, trouble.GetProperty("message").GetString(), StringComparison.Ordinal);

        Volatile.Write(ref isWell, true);
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("""{"total":5,"completed":5,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal("""{"status":"ready","troubles":[]}""", (await service.Api.GetAsync("/healthz")).GetRawText());
    }

    /// <summary>A limit that the last batch met is no news when nothing has been sent for long.</summary>
    [Fact]
    public async Task A_limit_is_said_no_longer_when_it_is_long_over()
    {
        int requests = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            call => Interlocked.Increment(ref requests) == 1 ? call.AnswerAsync(429, "{}", headers: ("Retry-After", "1")) : call.OkAsync());
        // One at a time: a 429 among good answers is no limit of the upstream.
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

    /// <summary>The key guards data, not the state: a load balancer has none.</summary>
    [Fact]
    public async Task No_key_is_needed()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["one"] });
        await service.Api.GetAsync("/healthz");
    }
}
