using System.Collections.Concurrent;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>In which order lines are sent, and what happens if the upstream is unavailable or stops responding.</summary>
public sealed class DispatchTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_batch_of_three_lines_takes_turns_with_a_batch_of_fifty_thousand()
    {
        const int Concurrency = 4;
        using var gate = new SemaphoreSlim(0);
        var sent = new ConcurrentQueue<string>();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            sent.Enqueue(call.Prompt);
            await gate.WaitAsync(call.Context.RequestAborted);
            await call.OkAsync();
        });
        await using TestService service = await StartAsync(upstream.Address, new EngineSettings { Concurrency = Concurrency, CancelGrace = TimeSpan.Zero });
        string large = await service.Api.SubmitAsync(Requests.File(50_000));
        await UntilAsync(() => sent.Count == Concurrency);
        string small = await service.Api.SubmitAsync(string.Concat(Enumerable.Range(1, 3).Select(i => Requests.Chat($"s-{i}", $"small {i}") + "\n")));
        await service.Api.UntilAsync(small, batch => batch.GetProperty("status").GetString() == "in_progress");

        // One answer at a time: each makes room for one more line.
        int SmallLines() => sent.Count(prompt => prompt.StartsWith("small", StringComparison.Ordinal));
        for (int answers = 1; SmallLines() < 3; answers++)
        {
            gate.Release();
            await UntilAsync(() => sent.Count == Concurrency + answers);
        }

        // The small batch may start a few turns late. From then on turns alternate.
        string[] order = [.. sent.Select(prompt => prompt.StartsWith("small", StringComparison.Ordinal) ? "small" : "large")];
        Assert.InRange(Array.IndexOf(order, "small"), Concurrency, Concurrency + 5);
        Assert.Equal(["small", "large", "small", "large", "small"], order[Array.IndexOf(order, "small")..]);
        Assert.Equal(Concurrency, upstream.MostAtOnce);
        await service.Api.CancelAsync(large);
    }

    /// <summary>A line in flight is in memory completely, so the lines in flight are limited to 32 MB together.</summary>
    [Fact]
    public async Task Few_large_lines_are_in_flight_together_and_all_are_answered()
    {
        using var gate = new SemaphoreSlim(0);
        int arrived = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            Interlocked.Increment(ref arrived);
            await gate.WaitAsync(call.Context.RequestAborted);
            await call.OkAsync();
        });
        await using TestService service = await StartAsync(upstream.Address, new EngineSettings { Concurrency = 16 });
        string prompt = new('x', 10 * 1024 * 1024);
        string id = await service.Api.SubmitAsync(string.Concat(Enumerable.Range(1, 7).Select(i => Requests.Chat($"r-{i}", prompt) + "\n")));
        for (int answered = 0; answered < 7; answered++)
        {
            await UntilAsync(() => Volatile.Read(ref arrived) == Math.Min(7, 3 + answered));
            gate.Release();
        }

        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal(7, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.Equal(3, upstream.MostAtOnce);
    }

    [Fact]
    public async Task A_response_that_stalls_is_given_up_after_two_minutes()
    {
        var time = new FakeTime { SkipsWaits = false };
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Attempt == 1 ? call.StallInsideAsync() : call.OkAsync());
        await using TestService service = await StartAsync(upstream.Address, new EngineSettings { RequestTimeout = TimeSpan.FromHours(1) }, time);
        string id = await service.Api.SubmitAsync(Requests.File(1));
        await time.TimerAsync(TimeSpan.FromMinutes(2)).WaitAsync(s_patience);
        time.Advance(TimeSpan.FromSeconds(119));
        Assert.Equal(1, upstream.AtOnce);
        time.Advance(TimeSpan.FromSeconds(1));
        JsonElement batch = await MoveToEndAsync(service, time, id);
        Assert.Equal(1, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.Equal(2, upstream.Attempts["prompt 1"]);
    }

    [Fact]
    public async Task While_the_upstream_is_unavailable_lines_wait_use_no_attempt_and_healthz_says_so()
    {
        int port;
        await using (FaultUpstream once = await FaultUpstream.StartAsync(call => call.OkAsync()))
        {
            port = new Uri(once.Address).Port;
        }

        var time = new FakeTime { SkipsWaits = false };
        await using TestService service = await StartAsync($"http://127.0.0.1:{port}/v1", new EngineSettings { MaxAttempts = 1 }, time);
        string id = await service.Api.SubmitAsync(Requests.File(50));
        JsonElement trouble = default;
        for (int minutes = 0; minutes < 30; trouble = (await service.Api.GetAsync("/healthz")).GetProperty("troubles"))
        {
            minutes += trouble.ValueKind == JsonValueKind.Array && trouble.GetArrayLength() == 1 ? 1 : 0;
            time.Advance(TimeSpan.FromMinutes(minutes > 0 ? 1 : 0));
            await Task.Delay(10);
        }

        Assert.Equal("upstream", trouble[0].GetProperty("kind").GetString());
        Assert.Contains("The upstream is unavailable", trouble[0].GetProperty("message").GetString(), StringComparison.Ordinal);
        JsonElement waiting = await service.Api.GetAsync($"batches/{id}");
        Assert.Equal("""{"total":50,"completed":0,"failed":0}""", waiting.GetProperty("request_counts").GetRawText());

        await using FaultUpstream back = await FaultUpstream.StartAsync(call => call.OkAsync(), port);
        JsonElement batch = await MoveToEndAsync(service, time, id);
        Assert.Equal("""{"total":50,"completed":50,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(0, (await service.Api.GetAsync("/healthz")).GetProperty("troubles").GetArrayLength());
    }

    [Fact]
    public async Task A_response_that_is_too_large_is_not_requested_again()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            call.Context.Response.ContentLength = 65L * 1024 * 1024;
            await call.Context.Response.Body.FlushAsync();
            await call.StallAsync();
        });
        await using TestService service = await StartAsync(upstream.Address, new EngineSettings());
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(5)));
        Assert.Equal("""{"total":5,"completed":0,"failed":5}""", batch.GetProperty("request_counts").GetRawText());
        Assert.All(await service.Api.LinesAsync(batch.GetProperty("error_file_id")), line =>
            Assert.Contains("64 MB", line.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal));
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
        Assert.Equal(0, (await service.Api.GetAsync("/healthz")).GetProperty("troubles").GetArrayLength());
    }

    /// <summary>Each response is in memory completely, so only two large ones are read at a time, with or without a Content-Length.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Large_responses_wait_for_each_other_and_all_are_stored(bool hasLength)
    {
        string text = new('x', 3 * 1024 * 1024);
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            byte[] body = JsonSerializer.SerializeToUtf8Bytes(new { text, usage = new { total_tokens = 1 } });
            call.Context.Response.ContentLength = hasLength ? body.Length : null;
            await call.Context.Response.Body.WriteAsync(body);
        });
        await using TestService service = await StartAsync(upstream.Address, new EngineSettings { Concurrency = 16 });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(20)));
        Assert.Equal("""{"total":20,"completed":20,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.All(await service.Api.LinesAsync(batch.GetProperty("output_file_id")), line =>
            Assert.Equal(text.Length, line.GetProperty("response").GetProperty("body").GetProperty("text").GetString()!.Length));
    }

    [Fact]
    public async Task Two_large_responses_are_read_at_a_time()
    {
        using var large = new InferenceBatch.Server.Dispatch.Upstreams.LargeAnswers();
        IDisposable first = await large.TakeAsync(default);
        using IDisposable second = await large.TakeAsync(default);
        Task<IDisposable> third = large.TakeAsync(default);
        Assert.False(third.IsCompleted);
        first.Dispose();
        first.Dispose();
        using IDisposable taken = await third.WaitAsync(s_patience);
        Assert.False(large.TakeAsync(default).IsCompleted);
    }

    private static Task<TestService> StartAsync(string upstream, EngineSettings engine, TimeProvider? time = null) =>
        TestService.StartAsync(settings => settings with { Upstream = upstream, Engine = engine }, time);

    private static async Task<JsonElement> MoveToEndAsync(TestService service, FakeTime time, string id) => await service.Api.UntilAsync(id, batch =>
    {
        time.Advance(TimeSpan.FromSeconds(1));
        return batch.GetProperty("status").GetString() is "completed" or "failed" or "expired";
    });

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (!condition())
        {
            Assert.False(patience.IsCancellationRequested, "The condition did not become true in time.");
            await Task.Delay(5);
        }
    }
}
