using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Waiting;

/// <summary>Waiting for many batches. The help of Wait-Batch describes the times between polls.</summary>
public sealed class BatchWatcherTests : IDisposable
{
    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly List<(string Id, double Second)> _looks = [];
    private readonly List<(string Id, ServiceErrorKind Kind)> _givenUp = [];
    private readonly DateTimeOffset _began;

    public BatchWatcherTests() => _began = _time.GetUtcNow();

    public void Dispose() => _server.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_first_poll_comes_within_a_second_and_each_wait_grows_by_half_to_a_minute(bool wasDescribed)
    {
        On("b", [.. Enumerable.Repeat("in_progress", 40), "completed"]);
        Batch? known = wasDescribed ? new Batch { Id = "b", Status = BatchStatus.Validating } : null;
        Assert.Equal("b", Assert.Single(await WatchAsync(("b", known))).Id);
        double[] seconds = [.. _looks.Select(look => look.Second)];
        Assert.Equal(41, seconds.Length);
        Assert.InRange(seconds[0], 0, 1);
        Assert.InRange(seconds.Count(second => second <= 5), 3, 6);
        double[] waits = [.. seconds.Zip(seconds[1..], (one, next) => next - one)];
        Assert.All(waits.Zip(waits[1..]), pair => Assert.Equal(Math.Min(60, pair.First * 1.5), pair.Second, 0.01));
        Assert.Equal(60, waits[^1], 3);
    }

    [Fact]
    public async Task A_fixed_interval_is_used()
    {
        On("b", "in_progress", "in_progress", "in_progress", "completed");
        await Watcher(interval: TimeSpan.FromSeconds(7)).WatchAsync([("b", null)]).ToListAsync();
        Assert.Equal([0, 7, 14, 21], _looks.Select(look => look.Second));
    }

    [Fact]
    public async Task Batches_are_returned_in_the_order_of_their_ends()
    {
        On("slow", [.. Enumerable.Repeat("in_progress", 8), "completed"]);
        On("quick", "in_progress", "failed");
        On("middle", "validating", "in_progress", "finalizing", "expired");
        List<Batch> ended = await WatchAsync(("slow", null), ("middle", null), ("quick", null), ("slow", null));
        Assert.Equal(["quick", "middle", "slow"], ended.Select(batch => batch.Id));
        Assert.Equal([BatchStatus.Failed, BatchStatus.Expired, BatchStatus.Completed], ended.Select(batch => batch.Status));
    }

    [Fact]
    public async Task Each_of_many_batches_has_its_own_pace()
    {
        string[] ids = [.. Enumerable.Range(1, 50).Select(i => $"b{i}")];
        Array.ForEach(ids, id => On(id, "in_progress", "in_progress", "completed"));
        Assert.Equal(50, (await WatchAsync([.. ids.Select(id => (id, (Batch?)null))])).Count);
        Assert.All(ids, id => Assert.Equal(3, _looks.Count(look => look.Id == id)));
        Assert.True(_time.GetUtcNow() - _began < TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_batch_that_has_ended_needs_no_call()
    {
        var done = new Batch { Id = "done", Status = BatchStatus.Cancelled };
        Assert.Same(done, Assert.Single(await WatchAsync(("done", done), ("done", done))));
        Assert.Empty(_server.Requests);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task Any_ends_with_the_first_batch()
    {
        On("slow", "in_progress");
        On("quick", "in_progress", "completed");
        BatchWatcher watcher = Watcher(any: true);
        Assert.Equal("quick", Assert.Single(await watcher.WatchAsync([("slow", null), ("quick", null)]).ToListAsync()).Id);
        Assert.Equal(["slow"], watcher.Waiting);
    }

    [Fact]
    public async Task Temporary_errors_do_not_end_the_wait()
    {
        Behaviour[] faults =
        [
            Answer.Html(503), Answer.Empty(429), Answer.Json("""{"error":"no"}""", 500), Answer.Drop, Answer.Json("""{"id":"b","st"""),
            Answer.Html(200), Answer.Empty(408), Answer.Empty(409),
        ];
        _server.On("GET /v1/batches/b", [.. faults, .. faults, .. faults, Answer.Json("""{"id":"b","status":"completed"}""")]);
        Assert.Single(await WatchAsync(("b", null)));
        Assert.Equal(25, _server.Requests.Count);
        Assert.Empty(_givenUp);
    }

    [Fact]
    public async Task Polls_that_fail_for_ten_seconds_are_reported_once_per_outage()
    {
        Behaviour down = Answer.Empty(503);
        Behaviour running = Answer.Json("""{"id":"b","status":"in_progress"}""");
        _server.On("GET /v1/batches/b", [.. Enumerable.Repeat(down, 40), running, .. Enumerable.Repeat(down, 40), Answer.Json("""{"id":"b","status":"completed"}""")]);
        var told = new List<double>();
        var watcher = new BatchWatcher(Clients.For(_server, _time), _time)
        {
            PollingInterval = TimeSpan.FromSeconds(2),
            OnPollsFailing = _ => told.Add((_time.GetUtcNow() - _began).TotalSeconds),
        };
        await watcher.WatchAsync([("b", null)]).ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(2, told.Count);
        Assert.Equal(10, told[0]);
        Assert.Null(watcher.LastFailure);
    }

    [Fact]
    public async Task A_wait_that_ends_during_an_outage_has_the_last_error()
    {
        _server.On("GET /v1/batches/b", Answer.Empty(503));
        BatchWatcher watcher = Watcher(timeout: TimeSpan.FromSeconds(5));
        Assert.Empty(await watcher.WatchAsync([("b", null)]).ToListAsync().WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Contains("503", watcher.LastFailure?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Retry_After_is_respected()
    {
        _server.On("GET /v1/batches/b", Answer.Empty(429, "Retry-After: 90"), Answer.Json("""{"id":"b","status":"completed"}"""));
        await WatchAsync(("b", null));
        Assert.Equal(90, _looks[0].Second);
    }

    [Theory]
    [InlineData(401, """{"error":"k"}""", ServiceErrorKind.Unauthorized)]
    [InlineData(403, """{"error":"k"}""", ServiceErrorKind.PermissionDenied)]
    [InlineData(404, """{"error":"k"}""", ServiceErrorKind.BatchNotFound)]
    [InlineData(404, "<html>", ServiceErrorKind.NotSupportedByService)]
    public async Task A_permanent_error_ends_the_wait_for_that_batch_only(int status, string body, ServiceErrorKind kind)
    {
        _server.On("GET /v1/batches/bad", Answer.Json(body, status));
        On("good", "in_progress", "completed");
        Assert.Equal("good", Assert.Single(await WatchAsync(("bad", null), ("good", null))).Id);
        Assert.Equal([("bad", kind)], _givenUp);
    }

    /// <summary>A batch that is known to exist: its state was known before the wait, it was visible during the wait, or the caller knows that it exists.</summary>
    [Theory]
    [InlineData("described")]
    [InlineData("seen")]
    [InlineData("exists")]
    public async Task An_existing_batch_may_be_invisible_for_five_minutes(string why)
    {
        foreach (Behaviour missing in new[] { Answer.Json("""{"error":{"message":"No such batch"}}""", 404), Answer.Html(404) })
        {
            _server.Reset();
            DateTimeOffset began = _time.GetUtcNow();
            int looks = 0;
            _server.On("GET /v1/batches/b", Answer.Choose(_ =>
                why == "seen" && ++looks <= 2 ? Answer.Json("""{"id":"b","status":"in_progress"}""")
                : _time.GetUtcNow() - began < TimeSpan.FromMinutes(4) ? missing : Answer.Json("""{"id":"b","status":"completed"}""")));
            Assert.Equal("b", Assert.Single(await WatchAsync(("b", Known(why)))).Id);
            Assert.Empty(_givenUp);
        }
    }

    [Theory]
    [InlineData("described")]
    [InlineData("seen")]
    [InlineData("exists")]
    public async Task A_batch_that_stays_invisible_for_five_minutes_is_given_up(string why)
    {
        _server.On("GET /v1/batches/b", [
            .. Enumerable.Repeat(Answer.Json("""{"id":"b","status":"in_progress"}"""), why == "seen" ? 3 : 0),
            Answer.Json("""{"error":{"message":"No such batch"}}""", 404)]);
        On("good", "completed");
        Assert.Equal("good", Assert.Single(await WatchAsync(("b", Known(why)), ("good", null))).Id);
        Assert.Equal([("b", ServiceErrorKind.BatchNotFound)], _givenUp);
        Assert.InRange((_time.GetUtcNow() - _began).TotalMinutes, 5, 6.5);
        Assert.InRange(_server.Asked.Count(call => call.EndsWith("/b", StringComparison.Ordinal)), 6, 25);
    }

    [Fact]
    public async Task The_five_minutes_restart_whenever_the_batch_is_visible()
    {
        Behaviour missing = Answer.Json("""{"error":{"message":"No such batch"}}""", 404);
        Behaviour running = Answer.Json("""{"id":"b","status":"in_progress"}""");
        _server.On("GET /v1/batches/b", [running, missing, missing, missing, running, missing, missing, missing, running, missing, missing, missing, Answer.Json("""{"id":"b","status":"completed"}""")]);
        await Watcher(interval: TimeSpan.FromSeconds(100)).WatchAsync([("b", null)]).ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Empty(_givenUp);
        Assert.Equal(13, _server.Requests.Count);
    }

    [Fact]
    public async Task A_500_of_Inference_net_for_an_existing_batch_is_not_an_unknown_ID_for_five_minutes()
    {
        DateTimeOffset began = _time.GetUtcNow();
        _server.On("GET /v1/batches/b", Answer.Choose(_ => _time.GetUtcNow() - began < TimeSpan.FromMinutes(4)
            ? Answer.Json("""{"error":"Failed to retrieve batch"}""", 500) : Answer.Json("""{"id":"b","status":"completed"}""")));
        Assert.Single(await new BatchWatcher(Clients.For(_server, _time, ServiceProfile.InferenceNet), _time).WatchAsync([("b", new Batch { Id = "b" })]).ToListAsync());
    }

    private static Batch? Known(string why) => why switch
    {
        "described" => new Batch { Id = "b", Status = BatchStatus.Validating },
        "exists" => new Batch { Id = "b" },
        _ => null,
    };

    [Fact]
    public async Task A_500_of_Inference_net_is_an_unknown_ID_after_five_polls_of_a_batch_that_was_never_visible()
    {
        _server.On("GET /v1/batches/b", Answer.Json("""{"error":"Failed to retrieve batch"}""", 500));
        var watcher = new BatchWatcher(Clients.For(_server, _time, ServiceProfile.InferenceNet), _time)
        {
            OnGivenUp = (id, why) => _givenUp.Add((id, why.Kind)),
        };
        Assert.Empty(await watcher.WatchAsync([("b", null)]).ToListAsync());
        Assert.Equal([("b", ServiceErrorKind.BatchNotFound)], _givenUp);
        Assert.Equal(5, _server.Requests.Count);
        Assert.Empty(watcher.Waiting);
    }

    [Fact]
    public async Task A_500_of_Inference_net_is_temporary_if_the_batch_was_visible()
    {
        _server.On(
            "GET /v1/batches/b",
            [Answer.Json("""{"id":"b","status":"in_progress"}"""), .. Enumerable.Repeat(Answer.Empty(500), 20), Answer.Json("""{"id":"b","status":"completed"}""")]);
        Assert.Single(await new BatchWatcher(Clients.For(_server, _time, ServiceProfile.InferenceNet), _time).WatchAsync([("b", null)]).ToListAsync());
    }

    [Fact]
    public async Task A_timeout_ends_the_wait_in_time_and_reports_the_remaining_batches()
    {
        On("b", "in_progress");
        On("c", "completed");
        BatchWatcher watcher = Watcher(timeout: TimeSpan.FromSeconds(100.5));
        Assert.Equal("c", Assert.Single(await watcher.WatchAsync([("b", null), ("c", null)]).ToListAsync()).Id);
        Assert.Equal(["b"], watcher.Waiting);
        Assert.Equal(100.5, (_time.GetUtcNow() - _began).TotalSeconds, 3);
    }

    [Fact]
    public async Task A_timeout_of_zero_polls_once()
    {
        On("b", "in_progress");
        On("c", "completed");
        BatchWatcher watcher = Watcher(timeout: TimeSpan.Zero);
        Assert.Single(await watcher.WatchAsync([("b", null), ("c", null)]).ToListAsync());
        Assert.Equal(["b", "c"], _looks.Select(look => look.Id).Order());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task A_timeout_of_zero_polls_batches_with_a_known_state_once(int seconds)
    {
        string[] ids = [.. Enumerable.Range(1, 20).Select(i => $"b{i}")];
        Array.ForEach(ids, id => On(id, id == "b7" || id == "b20" ? "completed" : "in_progress"));
        BatchWatcher watcher = Watcher(timeout: TimeSpan.FromSeconds(seconds));
        List<Batch> ended = await watcher.WatchAsync(ids.Select(id => (id, (Batch?)Outdated(id)))).ToListAsync();
        Assert.Equal(["b20", "b7"], ended.Select(batch => batch.Id).Order());
        Assert.Equal(ids.Order(), _looks.Select(look => look.Id).Order());
        Assert.Equal(18, watcher.Waiting.Count);
    }

    [Fact]
    public async Task A_timeout_of_zero_with_Any_finds_the_first_batch_that_ended()
    {
        On("a", "in_progress");
        On("b", "failed");
        BatchWatcher watcher = Watcher(timeout: TimeSpan.Zero, any: true);
        Assert.Equal(BatchStatus.Failed, Assert.Single(await watcher.WatchAsync([("a", Outdated("a")), ("b", Outdated("b"))]).ToListAsync()).Status);
    }

    [Fact]
    public async Task A_timeout_of_zero_does_not_wait_for_a_failing_service()
    {
        _server.On("GET /v1/batches/b", Answer.Empty(503), Answer.Json("""{"id":"b","status":"completed"}"""));
        BatchWatcher watcher = Watcher(timeout: TimeSpan.Zero);
        Assert.Empty(await watcher.WatchAsync([("b", Outdated("b"))]).ToListAsync());
        Assert.Single(_server.Requests);
        Assert.NotNull(watcher.LastFailure);
    }

    [Fact]
    public async Task A_short_timeout_polls_once_as_it_ends()
    {
        On("b", "completed");
        BatchWatcher watcher = Watcher(timeout: TimeSpan.FromMilliseconds(1));
        Assert.Single(await watcher.WatchAsync([("b", Outdated("b"))]).ToListAsync());
        Assert.Single(_looks);
    }

    [Fact]
    public async Task A_stalled_service_does_not_extend_the_timeout()
    {
        _server.On("GET /v1/batches/b", Answer.Stall);
        var time = new FakeTime { SkipsWaits = false };
        var watcher = new BatchWatcher(Clients.For(_server, time), time) { Timeout = TimeSpan.FromSeconds(30) };
        Task<List<Batch>> watching = watcher.WatchAsync([("b", null)]).ToListAsync();
        await _server.ArrivalAsync();
        time.Advance(TimeSpan.FromSeconds(31));
        Assert.Empty(await watching.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal(["b"], watcher.Waiting);
    }

    [Fact]
    public async Task Cancellation_ends_the_wait_and_reports_the_remaining_batches()
    {
        On("b", "in_progress");
        var time = new FakeTime { SkipsWaits = false };
        var watcher = new BatchWatcher(Clients.For(_server, time), time);
        using var cancel = new CancellationTokenSource();
        Task<List<Batch>> watching = watcher.WatchAsync([("b", null)], cancel.Token).ToListAsync();
        await _server.ArrivalAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal(["b"], watcher.Waiting);
    }

    [Fact]
    public async Task An_unknown_status_does_not_end_the_wait()
    {
        On("b", "resting", "", "COMPLETED");
        Assert.Equal(BatchStatus.Completed, Assert.Single(await WatchAsync(("b", null))).Status);
        Assert.Equal(3, _looks.Count);
    }

    private void On(string id, params string[] statuses) =>
        _server.On($"GET /v1/batches/{id}", [.. statuses.Select(status => Answer.Json($$"""{"id":"{{id}}","status":"{{status}}"}"""))]);

    private BatchWatcher Watcher(TimeSpan? interval = null, TimeSpan? timeout = null, bool any = false) => new(Clients.For(_server, _time), _time)
    {
        PollingInterval = interval,
        Timeout = timeout,
        Any = any,
        OnPolled = batch => _looks.Add((batch.Id, (_time.GetUtcNow() - _began).TotalSeconds)),
        OnGivenUp = (id, why) => _givenUp.Add((id, why.Kind)),
    };

    private static Batch Outdated(string id) => new() { Id = id, Status = BatchStatus.Validating };

    private Task<List<Batch>> WatchAsync(params (string Id, Batch? Known)[] batches) =>
        Watcher().WatchAsync(batches).ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
}
