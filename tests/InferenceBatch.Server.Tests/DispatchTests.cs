using System.Collections.Concurrent;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Whose line is sent when, and what happens when the upstream is away or falls silent.</summary>
public sealed class DispatchTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Three_lines_beside_fifty_thousand_have_every_second_turn()
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

        // One answer at a time: each makes room for one line more.
        int SmallOnes() => sent.Count(prompt => prompt.StartsWith("small", StringComparison.Ordinal));
        for (int answers = 1; SmallOnes() < 3; answers++)
        {
            gate.Release();
            await UntilAsync(() => sent.Count == Concurrency + answers);
        }

        // It may come a few turns late, as it begins; from then on turns alternate.
        string[] order = [.. sent.Select(prompt => prompt.StartsWith("small", StringComparison.Ordinal) ? "small" : "large")];
        Assert.InRange(Array.IndexOf(order, "small"), Concurrency, Concurrency + 5);
        Assert.Equal(["small", "large", "small", "large", "small"], order[Array.IndexOf(order, "small")..]);
        Assert.Equal(Concurrency, upstream.MostAtOnce);
        await service.Api.CancelAsync(large);
    }

    /// <summary>A line in flight is held whole: what is in flight together is bounded in bytes, 32 MB, as well as in lines.</summary>
    [Fact]
    public async Task Large_lines_go_few_at_a_time_and_all_are_answered()
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
    public async Task An_answer_that_stops_coming_is_given_up_after_two_minutes()
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
    public async Task An_upstream_that_is_away_is_waited_for_costs_no_attempt_and_is_told_of()
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
        Assert.Contains("The upstream is away", trouble[0].GetProperty("message").GetString(), StringComparison.Ordinal);
        JsonElement waiting = await service.Api.GetAsync($"batches/{id}");
        Assert.Equal("""{"total":50,"completed":0,"failed":0}""", waiting.GetProperty("request_counts").GetRawText());

        await using FaultUpstream back = await FaultUpstream.StartAsync(call => call.OkAsync(), port);
        JsonElement batch = await MoveToEndAsync(service, time, id);
        Assert.Equal("""{"total":50,"completed":50,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(0, (await service.Api.GetAsync("/healthz")).GetProperty("troubles").GetArrayLength());
    }

    [Fact]
    public async Task An_answer_larger_than_can_be_kept_is_not_asked_for_again()
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

    /// <summary>Each is held whole: so large ones are read two at a time, with or without a length that says so.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Large_answers_wait_for_each_other_and_all_are_kept(bool hasLength)
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
    public async Task Two_large_answers_are_read_at_a_time()
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

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (!isSo())
        {
            Assert.False(patience.IsCancellationRequested, "It never became so.");
            await Task.Delay(5);
        }
    }
}
