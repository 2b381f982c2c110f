using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Waiting;

/// <summary>
/// Waits for many batches at the same time and returns each batch when it ends. A poll that fails for a temporary reason
/// (429, 5xx, a broken connection) only delays the next poll. A permanent error (401, 403) ends the wait for that batch. So
/// does a 404: at once if only the ID of the batch is known, and after five minutes if the service has returned it before.
/// </summary>
/// <remarks>
/// Pace: the first poll of a batch comes within a second, and each interval grows by half, up to a minute. There are at most
/// six polls in the first five seconds. Near the end of a batch, the interval is shorter. With many batches, it is a little
/// longer, at random. Up to eight polls run at the same time, so that a stalled poll does not delay the others. Callbacks
/// are called by one thread at a time. An instance supports one wait at a time.
/// </remarks>
public sealed class BatchWatcher
{
    private const int MaxPolls = 8;

    private static readonly TimeSpan s_maxPollTime = TimeSpan.FromSeconds(60);

    /// <summary>The time for a poll that starts when the timeout is reached.</summary>
    private static readonly TimeSpan s_lastPollTime = TimeSpan.FromSeconds(10);

    private readonly BatchClient _client;
    private readonly TimeProvider _time;
    private readonly PollSignals _signals;
    private readonly PollEvaluator _evaluator;
    private readonly Queue<Batch> _added = new();
    private long _startedAt;
    private TimeSpan? _wakeAt;

    /// <param name="client">The service of the batches, unless <see cref="ClientOf"/> is set.</param>
    /// <param name="time">The clock; that of the client if null.</param>
    public BatchWatcher(BatchClient client, TimeProvider? time = null)
    {
        _client = client;
        _time = time ?? client.Time;
        _signals = new PollSignals(_time);
        _evaluator = new PollEvaluator(this, _time);
    }

    /// <summary>The interval between two polls of a batch; null for the growing interval.</summary>
    public TimeSpan? PollingInterval { get; init; }

    /// <summary>The timeout of the whole wait; null for none. Each batch is polled at least once, even with a timeout of zero, and once more when the timeout is reached.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether the wait ends with the first batch that ends.</summary>
    public bool Any { get; init; }

    /// <summary>Returns the service of a batch by its ID; null if all batches belong to the client of the constructor.</summary>
    public Func<string, BatchClient>? ClientOf { get; init; }

    /// <summary>Called with the batch after each successful poll.</summary>
    public Action<Batch>? OnPolled { get; init; }

    /// <summary>Called once for each batch whose status and counts have not changed for a long time (15 minutes in validating, otherwise 30), with that time.</summary>
    public Action<Batch, TimeSpan>? OnStalled { get; init; }

    /// <summary>Called for a batch that waits at a local service, with the reason, such as an unavailable upstream. Once for each reason, until the batch changes.</summary>
    public Action<Batch, string>? OnHeld { get; init; }

    /// <summary>Called with the last error if no poll has succeeded for some time. Once per outage: the next successful poll ends it.</summary>
    public Action<ServiceException>? OnPollsFailing { get; init; }

    /// <summary>The error of the last poll; null if it succeeded.</summary>
    public ServiceException? LastFailure => _evaluator.LastFailure;

    /// <summary>Called with the ID of each batch that is not waited for any longer, and the reason.</summary>
    public Action<string, ServiceException>? OnGivenUp { get; init; }

    /// <summary>The IDs of the batches that are still waited for. After the wait: those that did not end within <see cref="Timeout"/>.</summary>
    public IReadOnlyCollection<string> Waiting { get; private set; } = [];

    /// <summary>Requests a poll now, because a batch may have changed. Causes at most one poll per second, and none before the time of a Retry-After.</summary>
    /// <param name="id">The batch; null for all batches. An ID that is not waited for has no effect.</param>
    /// <remarks>Thread-safe; may be called at any time.</remarks>
    public void PollNow(string? id) => _signals.Send(new PollSignal(id, null));

    /// <summary>Waits, and returns each batch when it ends. Stops when all batches have ended, at the timeout, or with the first batch if <see cref="Any"/> is set.</summary>
    /// <param name="batches">
    /// The batches by ID, with their last known state. A batch whose known state is final needs no call. A known state without
    /// a status means that the caller knows that the batch exists. Duplicate IDs are waited for once.
    /// </param>
    /// <exception cref="OperationCanceledException">Cancelled; <see cref="Waiting"/> has the remaining batches.</exception>
    public async IAsyncEnumerable<Batch> WatchAsync(
        IEnumerable<(string Id, Batch? Known)> batches, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (Batch? batch in WatchAndWakeAsync(batches, cancellationToken).ConfigureAwait(false))
        {
            if (batch is not null)
            {
                yield return batch;
            }
        }
    }

    /// <summary>Adds a batch to the current wait. May be called only between two batches that the wait returns.</summary>
    internal void Add(Batch batch) => _added.Enqueue(batch);

    /// <summary>
    /// Makes the wait return null once after a time, and continue until then even if no batch is left, but not beyond
    /// <see cref="Timeout"/>. May be called only when <see cref="Add"/> may be called.
    /// </summary>
    /// <param name="time">The time from now; null to cancel the wake-up.</param>
    internal void WakeAfter(TimeSpan? time)
    {
        TimeSpan now = _time.GetElapsedTime(_startedAt);
        _wakeAt = now >= Timeout ? null : now + time;
    }

    /// <summary>Like <see cref="WatchAsync"/>, but also returns null at the start of the wait, and at a time that <see cref="WakeAfter"/> set.</summary>
    internal async IAsyncEnumerable<Batch?> WatchAndWakeAsync(
        IEnumerable<(string Id, Batch? Known)> batches, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        long startedAt = _startedAt = _time.GetTimestamp();
        var watched = new Dictionary<string, WatchedBatch>();
        List<Batch> finished = Sort(batches, watched);
        Waiting = watched.Keys;
        foreach (Batch batch in finished)
        {
            yield return batch;
            if (Any)
            {
                yield break;
            }
        }

        yield return null;
        int inFlight = 0;
        TimeSpan? end = null;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            while (watched.Count > 0 || _added.Count > 0 || _wakeAt is not null)
            {
                while (_signals.TryRead(out PollSignal signal))
                {
                    if (signal.Polled is not { } polled)
                    {
                        RequestPoll(watched, signal.Id, _time.GetElapsedTime(startedAt));
                    }
                    else if (watched.GetValueOrDefault(polled.Id) == polled)
                    {
                        inFlight--;
                        Batch? ended = await _evaluator.EvaluateAsync(polled, startedAt, cancellationToken).ConfigureAwait(false);
                        if (ended is not null || polled.IsGivenUp)
                        {
                            watched.Remove(polled.Id);
                        }
                        else
                        {
                            Schedule(polled, _time.GetElapsedTime(startedAt), watched.Count > 1);
                        }

                        if (ended is not null)
                        {
                            yield return ended;
                            if (Any)
                            {
                                yield break;
                            }
                        }
                    }
                }

                TimeSpan now = _time.GetElapsedTime(startedAt);
                while (_added.TryDequeue(out Batch? added))
                {
                    Watch(added.Id, added, watched, now);
                }

                if (now >= (Timeout < _wakeAt ? Timeout : _wakeAt))
                {
                    _wakeAt = null;
                    yield return null;
                    continue;
                }

                end ??= now >= Timeout ? now + s_lastPollTime : null;
                foreach (WatchedBatch due in watched.Values.Where(batch => batch.Due <= now).OrderBy(batch => batch.Due).Take(MaxPolls - inFlight))
                {
                    if (end <= now)
                    {
                        due.Due = null;
                        continue;
                    }

                    inFlight++;
                    Poll(due, now, PollTime(now, end), stop.Token);
                }

                TimeSpan? next = inFlight < MaxPolls ? watched.Values.Min(batch => batch.Due) : null;
                TimeSpan? wake = Timeout < _wakeAt ? Timeout : _wakeAt;
                next = next is null || wake < next ? wake ?? next : next;
                if (inFlight > 0 || next is not null)
                {
                    await _signals.WaitAsync(next - _time.GetElapsedTime(startedAt), inFlight > 0, cancellationToken).ConfigureAwait(false);
                }
                else if (watched.Count > 0)
                {
                    yield break;
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            foreach (WatchedBatch batch in watched.Values.Where(batch => batch.Poll is not null))
            {
                await Task.WhenAny(batch.Poll!).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The service of a batch.</summary>
    internal BatchClient ClientFor(string id) => ClientOf?.Invoke(id) ?? _client;

    /// <summary>Returns the batches that have ended already, and schedules the first poll of the others.</summary>
    private List<Batch> Sort(IEnumerable<(string Id, Batch? Known)> batches, Dictionary<string, WatchedBatch> watched)
    {
        List<Batch> finished = [];
        foreach ((string id, Batch? known) in batches)
        {
            if (watched.ContainsKey(id) || finished.Exists(batch => batch.Id == id))
            {
                continue;
            }

            if (known is { IsFinished: true })
            {
                finished.Add(known);
                continue;
            }

            Watch(id, known, watched, TimeSpan.Zero);
        }

        return finished;
    }

    private void Watch(string id, Batch? known, Dictionary<string, WatchedBatch> watched, TimeSpan now)
    {
        var batch = new WatchedBatch(id, _time) { Due = now, Exists = known is not null };
        watched.Add(id, batch);
        if (known is null or { Status: BatchStatus.Unknown, Json: "" })
        {
            return; // A bare ID is polled at once, to find out early whether it is wrong.
        }

        batch.Observe(known, now);
        // A known state is usually a fresh one, so the first poll can wait, unless there is time for a single poll only.
        if (!(Timeout <= TimeSpan.Zero))
        {
            Schedule(batch, now, spread: false);
        }
    }

    private void Schedule(WatchedBatch batch, TimeSpan now, bool spread)
    {
        if (now >= Timeout)
        {
            batch.Due = null;
            return;
        }

        batch.ScheduleNext(now, PollingInterval, spread);
        batch.Due = Timeout < batch.Due ? Timeout : batch.Due;
    }

    private static void RequestPoll(Dictionary<string, WatchedBatch> watched, string? id, TimeSpan now)
    {
        foreach (WatchedBatch batch in watched.Values.Where(batch => id is null || batch.Id == id))
        {
            batch.RequestPoll(now);
        }
    }

    /// <summary>How long a poll may take: until the timeout, but at least <see cref="s_lastPollTime"/>.</summary>
    private TimeSpan PollTime(TimeSpan now, TimeSpan? end)
    {
        TimeSpan left = end - now ?? Timeout - now ?? s_maxPollTime;
        left = end is null && left < s_lastPollTime ? s_lastPollTime : left;
        return left < s_maxPollTime ? left : s_maxPollTime;
    }

    private void Poll(WatchedBatch batch, TimeSpan now, TimeSpan pollTime, CancellationToken cancellationToken)
    {
        batch.BeginPoll(now);
        batch.Poll = PollAsync();

        async Task<Batch> PollAsync()
        {
            using var timeout = new CancellationTokenSource(pollTime, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
            try
            {
                return await ClientFor(batch.Id).GetBatchAsync(batch.Id, RetryPolicy.Once, either.Token).ConfigureAwait(false);
            }
            finally
            {
                _signals.Send(new PollSignal(null, batch));
            }
        }
    }
}
