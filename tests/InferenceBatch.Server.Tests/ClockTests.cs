using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Changes of the system clock while batches run.</summary>
public sealed class ClockTests : IAsyncDisposable
{
    private readonly FakeTime _time = new() { SkipsWaits = false };
    private readonly TempFolder _folder = new();

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_clock_set_past_the_end_of_the_window_expires_the_batch()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        await using TestService service = await StartAsync(upstream);
        string id = await service.Api.SubmitAsync(Requests.File(2));
        await service.Api.UntilAsync(id, _ => upstream.AtOnce == 2);
        _time.SetClock(TimeSpan.FromDays(400));
        _time.Advance(TimeSpan.FromSeconds(10));
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("expired", batch.GetProperty("status").GetString());
        Assert.True(batch.GetProperty("expired_at").GetInt64() >= batch.GetProperty("expires_at").GetInt64());
        Assert.All(await service.Api.LinesAsync(batch.GetProperty("error_file_id")), line =>
            Assert.Equal("batch_expired", line.GetProperty("error").GetProperty("code").GetString()));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_does_not_lengthen_waits_or_reverse_times()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Attempt == 1
            ? call.AnswerAsync(429, "{}", headers: ("Retry-After", "30")) : call.OkAsync());
        await using TestService service = await StartAsync(upstream);
        string id = await service.Api.SubmitAsync(Requests.File(1));
        await service.Api.UntilAsync(id, _ => upstream.Attempts.Count == 1 && upstream.AtOnce == 0);
        await _time.TimerAsync(TimeSpan.FromSeconds(30));
        _time.SetClock(TimeSpan.FromDays(-30));
        _time.Advance(TimeSpan.FromSeconds(30));
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        long[] times = [.. new[] { "created_at", "in_progress_at", "finalizing_at", "completed_at" }.Select(name => batch.GetProperty(name).GetInt64())];
        Assert.Equal(times.Order(), times);
    }

    [Fact]
    public async Task A_batch_resumes_after_the_clock_was_set_back()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            if (call.Attempt == 1 && call.Prompt == "prompt 2")
            {
                await call.StallAsync();
            }

            await call.OkAsync();
        });
        string id;
        await using (TestService service = await StartAsync(upstream))
        {
            id = await service.Api.SubmitAsync(Requests.File(2));
            await service.Api.DoneAsync(id, 1);
        }

        _time.SetClock(TimeSpan.FromDays(-3));
        await using TestService again = await StartAsync(upstream);
        JsonElement batch = await again.Api.EndAsync(id);
        Assert.Equal("""{"total":2,"completed":2,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.True(batch.GetProperty("completed_at").GetInt64() >= batch.GetProperty("created_at").GetInt64());
    }

    private Task<TestService> StartAsync(FaultUpstream upstream) => TestService.StartAsync(settings => settings with
    {
        Upstream = upstream.Address,
        Engine = new EngineSettings { StopGrace = TimeSpan.Zero, RequestTimeout = TimeSpan.FromDays(2) },
    }, _time, _folder);
}
