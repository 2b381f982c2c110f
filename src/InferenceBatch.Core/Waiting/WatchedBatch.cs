using System.Net;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Waiting;

/// <summary>A batch that a <see cref="BatchWatcher"/> waits for: its last known state, and when its next poll is due. Times count from the start of the wait.</summary>
internal sealed class WatchedBatch(string id, TimeProvider time)
{
    private const int MaxUnknown500s = 5;
    private const double Spread = 0.2;
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(60);

    /// <summary>The shortest interval near the end of a batch.</summary>
    private static readonly TimeSpan s_shortestWaitNearEnd = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_requestedPollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_stalled = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan s_stalledValidating = TimeSpan.FromMinutes(15);

    private readonly ProgressRate _rate = new();
    private readonly LateVisibility _visibility = new(time);
    private TimeSpan _wait = s_firstWait;
    private TimeSpan _polledAt = TimeSpan.MinValue;
    private TimeSpan _changedAt;
    private TimeSpan? _retryAfter;
    private TimeSpan _notBefore;
    private bool _isPollRequested;
    private bool _isStallReported;
    private readonly HashSet<string> _reportedHolds = [];
    private int _unknown500s;
    private Batch? _last;

    public string Id { get; } = id;

    /// <summary>When the next poll is due; null while a poll is in flight, and when no further poll is planned.</summary>
    public TimeSpan? Due { get; set; }

    /// <summary>The poll in flight; null if there is none.</summary>
    public Task<Batch>? Poll { get; set; }

    public bool IsGivenUp { get; private set; }

    /// <summary>Whether the batch is known to exist: this process has seen its state, or its caller knows it.</summary>
    public bool Exists { get; set; }

    /// <summary>Records the state that the service just returned.</summary>
    public void Observe(Batch batch, TimeSpan now)
    {
        if (_last is null || _last.RawStatus != batch.RawStatus || _last.RequestCounts != batch.RequestCounts)
        {
            _changedAt = now;
            _reportedHolds.Clear();
        }

        _last = batch;
        Exists = true;
        _visibility.Appeared();
        _rate.Report(now, batch.RequestCounts.Done);
    }

    public void GiveUp() => IsGivenUp = true;

    /// <summary>Whether a poll failed only because an existing batch is not visible yet.</summary>
    public bool MayAppear(ServiceException exception) => Exists && LateVisibility.IsNotFound(exception) && _visibility.MayAppear();

    /// <summary>Records a poll that failed for a temporary reason. Gives up a batch that the service never returned if it answers 500 for unknown IDs.</summary>
    public void ObserveFailure(ServiceException exception, ServiceProfile profile)
    {
        _retryAfter = exception.RetryAfter;
        bool mayBeUnknown = _last is null && profile.UnknownBatchIs500 && exception.StatusCode == HttpStatusCode.InternalServerError;
        IsGivenUp = mayBeUnknown && ++_unknown500s >= MaxUnknown500s && !(Exists && _visibility.MayAppear());
    }

    /// <summary>Records that a poll starts.</summary>
    public void BeginPoll(TimeSpan now)
    {
        Due = null;
        _isPollRequested = false;
        _polledAt = now;
    }

    /// <summary>Schedules a poll for now, or for the earliest time that the interval and the service's Retry-After allow.</summary>
    public void RequestPoll(TimeSpan now)
    {
        if (Poll is not null)
        {
            // Its response may be older than the change that this request is about.
            _isPollRequested = true;
        }
        else if (Due is { } due)
        {
            TimeSpan earliest = EarliestPoll(now);
            Due = earliest < due ? earliest : due;
        }
    }

    /// <summary>Schedules the next poll.</summary>
    /// <param name="now">The end of the last poll, or the start of the wait.</param>
    /// <param name="interval">A fixed interval; null for the growing interval.</param>
    /// <param name="spread">Whether to add a random time, so that the batches are not polled at the same time.</param>
    public void ScheduleNext(TimeSpan now, TimeSpan? interval, bool spread)
    {
        TimeSpan wait = interval ?? Min(WaitNearEnd(now), spread ? _wait * (1 + (Spread * Random.Shared.NextDouble())) : _wait);
        _wait = Min(_wait * 1.5, s_longestWait);
        wait = interval is null ? Min(wait, s_longestWait) : wait;
        if (_retryAfter > wait)
        {
            wait = _retryAfter.Value;
        }

        _notBefore = _retryAfter is { } retryAfter ? now + retryAfter : TimeSpan.Zero;
        _retryAfter = null;
        Due = _isPollRequested && EarliestPoll(now) < now + wait ? EarliestPoll(now) : now + wait;
        _isPollRequested = false;
    }

    /// <summary>Returns the time since the last change if the batch has stalled and this method has not reported it before; otherwise null.</summary>
    public TimeSpan? TakeStall(TimeSpan now)
    {
        TimeSpan unchanged = now - _changedAt;
        if (_isStallReported || _last is null || unchanged < (_last.Status == BatchStatus.Validating ? s_stalledValidating : s_stalled))
        {
            return null;
        }

        _isStallReported = true;
        return unchanged;
    }

    /// <summary>Whether nothing has changed for some seconds, so that the reason is worth a call.</summary>
    public bool IsQuiet(TimeSpan now) => _last is not null && now - _changedAt >= s_quiet;

    /// <summary>Whether this reason is new since the last change of the batch.</summary>
    public bool TakeHoldReason(string reason) => _reportedHolds.Add(reason);

    /// <summary>The earliest time for a requested poll: at most one per second.</summary>
    private TimeSpan EarliestPoll(TimeSpan now)
    {
        TimeSpan earliest = _polledAt == TimeSpan.MinValue ? now : Max(now, _polledAt + s_requestedPollInterval);
        return Max(earliest, _notBefore);
    }

    /// <summary>
    /// The wait near the end of a batch: the time that the rest takes at the observed rate. If the last request takes longer,
    /// half of the time since the last change.
    /// </summary>
    private TimeSpan WaitNearEnd(TimeSpan now)
    {
        TimeSpan? left = _last?.Status == BatchStatus.Finalizing ? TimeSpan.Zero : _last is null ? null : _rate.TimeLeft(_last.RequestCounts.Total);
        return left is null ? TimeSpan.MaxValue : Max(s_shortestWaitNearEnd, Max(left.Value, (now - _changedAt) / 2));
    }

    private static TimeSpan Min(TimeSpan time, TimeSpan other) => time < other ? time : other;

    private static TimeSpan Max(TimeSpan time, TimeSpan other) => time > other ? time : other;
}
