using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Upstreams that behave like model servers under load (docs/local-servers.md).</summary>
public sealed class ModelServerTests
{
    /// <summary>llama-server without <c>-np</c>: the lines are good, but too many are in flight.</summary>
    [Theory]
    [InlineData(1, null)]
    [InlineData(4, null)]
    [InlineData(4, 16)]
    [InlineData(8, 12)]
    public async Task Lines_that_fail_together_because_they_share_a_context_all_succeed_later(int capacity, int? concurrency)
    {
        const int Lines = 100;
        var context = new SharedContext(capacity, TimeSpan.FromMilliseconds(10));
        JsonElement counts = await RunAsync(context.AnswerAsync, Lines, new EngineSettings { Concurrency = concurrency });
        Assert.True(context.Overflows > 0);
        Assert.Equal(Lines, counts.GetProperty("completed").GetInt32());
    }

    /// <summary>A llama-server in router mode whose model crashed responds once with plain text to all requests in flight.</summary>
    [Fact]
    public async Task Lines_that_fail_together_when_a_model_crashes_all_succeed_later()
    {
        const int Lines = 40;
        const int AtTheCrash = 10;
        int started = 0;
        JsonElement counts = await RunAsync(
            call => Interlocked.Increment(ref started) <= AtTheCrash
                ? call.AnswerAsync(500, "proxy error: Failed to read connection")
                : call.OkAsync(),
            Lines,
            new EngineSettings());
        Assert.Equal(Lines, counts.GetProperty("completed").GetInt32());
    }

    /// <summary>The advice of docs/local-servers.md: as many lines in flight as slots.</summary>
    [Fact]
    public async Task With_as_many_lines_in_flight_as_slots_no_line_waits_in_the_queue_of_the_server()
    {
        const int Slots = 3;
        const int Lines = 60;
        using var queue = new SlotQueue(Slots, TimeSpan.FromMilliseconds(10));
        int most = 0;
        JsonElement counts = await RunAsync(queue.AnswerAsync, Lines, new EngineSettings { Concurrency = Slots }, upstream => most = upstream.MostAtOnce);
        Assert.Equal(Lines, counts.GetProperty("completed").GetInt32());
        Assert.Equal(Slots, most);
        Assert.Equal(0, queue.CutOff);
    }

    /// <summary>The timeout includes the time in the queue of the server. With more lines than slots, lines behind a slow one time out.</summary>
    [Fact]
    public async Task Lines_that_wait_in_the_queue_of_the_server_until_the_timeout_fail()
    {
        const int Lines = 4;
        using var queue = new SlotQueue(1, Timeout.InfiniteTimeSpan);
        JsonElement counts = await RunAsync(
            queue.AnswerAsync, Lines, new EngineSettings { Concurrency = Lines, MaxAttempts = 1, RequestTimeout = TimeSpan.FromSeconds(0.3) });
        Assert.Equal(Lines, counts.GetProperty("failed").GetInt32());
        Assert.Equal(Lines, queue.CutOff);
    }

    private static async Task<JsonElement> RunAsync(
        Func<FaultUpstream.Call, Task> answer, int lines, EngineSettings settings, Action<FaultUpstream>? look = null)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(answer);
        await using TestService service = await TestService.StartAsync(original => original with { Upstream = upstream.Address, Engine = settings });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(lines)));
        look?.Invoke(upstream);
        return batch.GetProperty("request_counts");
    }
}
