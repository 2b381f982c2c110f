using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Waiting;

/// <summary>Requested polls, concurrent polls, polls near the end, and stalls.</summary>
public sealed class WatchingManyTests : IDisposable
{
    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly List<double> _looks = [];
    private readonly List<(string Id, double Minutes)> _stalls = [];
    private readonly DateTimeOffset _began;

    public WatchingManyTests() => _began = _time.GetUtcNow();

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task A_stalled_poll_does_not_delay_others()
    {
        _server.On("GET /v1/batches/stalls", Answer.Stall);
        On("good", Repeat(5, "in_progress"), "completed");
        var time = new FakeTime { SkipsWaits = false };
        using var cancel = new CancellationTokenSource();
        await using IAsyncEnumerator<Batch> watch = new BatchWatcher(Clients.For(_server, time), time)
            .WatchAsync([("stalls", null), ("good", null)], cancel.Token).GetAsyncEnumerator();
        Task<bool> first = watch.MoveNextAsync().AsTask();
        await AdvanceUntilAsync(first, time);
        Assert.Equal("good", watch.Current.Id);
        Assert.Single(_server.Requests, request => request.Path.EndsWith("stalls", StringComparison.Ordinal));
    }

    [Fact]
    public async Task PollNow_advances_the_next_poll()
    {
        On("b", ["in_progress"], "completed");
        var time = new FakeTime { SkipsWaits = false };
        var watcher = new BatchWatcher(Clients.For(_server, time), time) { PollingInterval = TimeSpan.FromHours(1) };
        Task<List<Batch>> watching = watcher.WatchAsync([("b", null), ("b", null)]).ToListAsync();
        await _server.ArrivalAsync();
        watcher.PollNow("stranger");
        watcher.PollNow("b");
        await AdvanceUntilAsync(watching, time, TimeSpan.FromSeconds(0.5));
        Assert.Equal(BatchStatus.Completed, Assert.Single(await watching).Status);
        Assert.True(time.GetUtcNow() - _began < TimeSpan.FromMinutes(30), "PollNow had no effect.");
        Assert.Equal(2, _server.Requests.Count);
    }

    [Fact]
    public async Task Polls_are_more_frequent_near_the_end()
    {
        // Two requests per second: the end must be seen soon after it happens.
        const int Total = 1000;
        _server.On("GET /v1/batches/b", exchange =>
        {
            int done = Math.Min(Total, (int)((_time.GetUtcNow() - _began).TotalSeconds * 2));
            return Answer.Json($$$"""{"id":"b","status":"{{{(done == Total ? "completed" : "in_progress")}}}","request_counts":{"total":{{{Total}}},"completed":{{{done}}},"failed":0}}""")(exchange);
        });
        Assert.Single(await Watcher().WatchAsync([("b", null)]).ToListAsync());
        Assert.InRange(_looks[^1], 500, 503);
        Assert.InRange(_looks.Count, 10, 25);
    }

    [Fact]
    public async Task A_slow_last_request_does_not_cause_frequent_polls()
    {
        string[] all = [Counted(0), Counted(50), .. Enumerable.Repeat(Counted(99), 60)];
        _server.On("GET /v1/batches/b", [.. all.Select(json => Answer.Json(json)), Answer.Json("""{"id":"b","status":"completed"}""")]);
        Assert.Single(await Watcher().WatchAsync([("b", null)]).ToListAsync());
        Assert.Equal(60, _looks[^1] - _looks[^2], 0.01);
        Assert.InRange(_looks.Count(second => second < 120), 8, 14);
    }

    [Theory]
    [InlineData("validating", 15, 16)]
    [InlineData("in_progress", 30, 31)]
    public async Task A_stalled_batch_is_reported_once(string status, double from, double to)
    {
        On("b", Repeat(120, status), "completed");
        await Watcher().WatchAsync([("b", null)]).ToListAsync();
        (string id, double minutes) = Assert.Single(_stalls);
        Assert.Equal("b", id);
        Assert.InRange(minutes, from, to);
    }

    [Fact]
    public async Task A_batch_that_makes_progress_is_not_reported()
    {
        _server.On("GET /v1/batches/b", [.. Enumerable.Range(0, 100).Select(done => Answer.Json(Counted(done / 10))), Answer.Json("""{"id":"b","status":"completed"}""")]);
        await Watcher(TimeSpan.FromSeconds(100)).WatchAsync([("b", null)]).ToListAsync();
        Assert.Empty(_stalls);
    }

    [Fact]
    public async Task Many_batches_are_not_polled_at_the_same_time()
    {
        string[] ids = [.. Enumerable.Range(1, 8).Select(i => $"b{i}")];
        Array.ForEach(ids, id => On(id, Repeat(12, "in_progress"), "completed"));
        await Watcher().WatchAsync(ids.Select(id => (id, (Batch?)null))).ToListAsync();
        Assert.True(_looks.Distinct().Count() > 40, $"{_looks.Distinct().Count()} moments for {_looks.Count} looks");
    }

    private static string Counted(int done) => $$$"""{"id":"b","status":"in_progress","request_counts":{"total":100,"completed":{{{done}}},"failed":0}}""";

    private static string[] Repeat(int times, string status) => [.. Enumerable.Repeat(status, times)];

    private static async Task AdvanceUntilAsync(Task end, FakeTime time, TimeSpan? step = null)
    {
        for (int i = 0; i < 3000 && !end.IsCompleted; i++)
        {
            time.Advance(step ?? TimeSpan.FromSeconds(0.1));
            await Task.WhenAny(end, Task.Delay(10));
        }

        Assert.True(end.IsCompleted);
        await end;
    }

    private void On(string id, string[] statuses, string end) =>
        _server.On($"GET /v1/batches/{id}", [.. statuses.Append(end).Select(status => Answer.Json($$"""{"id":"{{id}}","status":"{{status}}"}"""))]);

    private BatchWatcher Watcher(TimeSpan? interval = null) => new(Clients.For(_server, _time), _time)
    {
        PollingInterval = interval,
        OnPolled = _ => _looks.Add((_time.GetUtcNow() - _began).TotalSeconds),
        OnStalled = (batch, unchanged) => _stalls.Add((batch.Id, unchanged.TotalMinutes)),
    };
}
