using System.Net;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Waiting;

/// <summary>One batch that a <see cref="BatchWatcher"/> waits for: when it is looked at next, and what was seen. Times count from the wait's begin.</summary>
internal sealed class WatchedBatch(string id, TimeProvider time)
{
    private const int MaxUnknown500s = 5;
    private const double Spread = 0.2;
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(60);

    /// <summary>The least wait that an end in sight makes shorter, and the least it makes of it.</summary>
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_hintPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_stalled = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan s_stalledValidating = TimeSpan.FromMinutes(15);

    private readonly ProgressRate _rate = new();
    private readonly LateVisibility _visibility = new(time);
    private TimeSpan _wait = s_firstWait;
    private TimeSpan _lookedAt = TimeSpan.MinValue;
    private TimeSpan _changedAt;
    private TimeSpan? _asked;
    private TimeSpan _notBefore;
    private bool _isHinted;
    private bool _stallWasTold;
    private readonly HashSet<string> _heldTold = [];
    private int _unknown500s;
    private Batch? _last;

    public string Id { get; } = id;

    /// <summary>When the next look is due; null while one is under way, and when there is to be none.</summary>
    public TimeSpan? Due { get; set; }

    /// <summary>The look under way.</summary>
    public Task<Batch>? Look { get; set; }

    public bool IsGivenUp { get; private set; }

    /// <summary>Whether the service is known to have the batch: it was described here or before.</summary>
    public bool Exists { get; set; }

    /// <summary>What the service said of it, just now.</summary>
    public void Observe(Batch batch, TimeSpan now)
    {
        if (_last is null || _last.RawStatus != batch.RawStatus || _last.RequestCounts != batch.RequestCounts)
        {
            _changedAt = now;
            _heldTold.Clear();
        }

        _last = batch;
        Exists = true;
        _visibility.Appeared();
        _rate.Report(now, batch.RequestCounts.Done);
    }

    public void GiveUp() => IsGivenUp = true;

    /// <summary>Whether a look failed only because the service does not show, for the moment, a batch that it has.</summary>
    public bool MayAppear(ServiceException exception) => Exists && LateVisibility.IsNotFound(exception) && _visibility.MayAppear();

    public void Failed(ServiceException exception, ServiceProfile profile)
    {
        _asked = exception.RetryAfter;
        bool mayBeUnknown = _last is null && profile.UnknownBatchIs500 && exception.StatusCode == HttpStatusCode.InternalServerError;
        IsGivenUp = mayBeUnknown && ++_unknown500s >= MaxUnknown500s && !(Exists && _visibility.MayAppear());
    }

    /// <summary>A look begins.</summary>
    public void Begin(TimeSpan now)
    {
        Due = null;
        _isHinted = false;
        _lookedAt = now;
    }

    /// <summary>There may be news: the next look comes now, or as soon as the service's patience allows.</summary>
    public void RequestPoll(TimeSpan now)
    {
        if (Look is not null)
        {
            // What it brings may have been written before the news.
            _isHinted = true;
        }
        else if (Due is { } due)
        {
            TimeSpan soonest = Soonest(now);
            Due = soonest < due ? soonest : due;
        }
    }

    /// <summary>Sets the next look, by the pace or by the interval given.</summary>
    /// <param name="now">When the last look ended, or the wait begins.</param>
    /// <param name="interval">The fixed wait; null for the growing pace.</param>
    /// <param name="spread">Whether to part the batches' looks from each other.</param>
    public void ScheduleNext(TimeSpan now, TimeSpan? interval, bool spread)
    {
        TimeSpan wait = interval ?? Min(Sooner(now), spread ? _wait * (1 + (Spread * Random.Shared.NextDouble())) : _wait);
        _wait = Min(_wait * 1.5, s_longestWait);
        wait = interval is null ? Min(wait, s_longestWait) : wait;
        if (_asked > wait)
        {
            wait = _asked.Value;
        }

        _notBefore = _asked is { } asked ? now + asked : TimeSpan.Zero;
        _asked = null;
        Due = _isHinted && Soonest(now) < now + wait ? Soonest(now) : now + wait;
        _isHinted = false;
    }

    /// <summary>For how long nothing has changed, if that is too long and was not told before.</summary>
    public TimeSpan? TakeStall(TimeSpan now)
    {
        TimeSpan unchanged = now - _changedAt;
        if (_stallWasTold || _last is null || unchanged < (_last.Status == BatchStatus.Validating ? s_stalledValidating : s_stalled))
        {
            return null;
        }

        _stallWasTold = true;
        return unchanged;
    }

    /// <summary>Whether nothing has changed for some seconds, so that it is worth asking why.</summary>
    public bool IsQuiet(TimeSpan now) => _last is not null && now - _changedAt >= s_quiet;

    /// <summary>Whether a reason to wait is new since the batch last changed.</summary>
    public bool TakeHeld(string reason) => _heldTold.Add(reason);

    /// <summary>Many hints at once make one look a second.</summary>
    private TimeSpan Soonest(TimeSpan now)
    {
        TimeSpan soonest = _lookedAt == TimeSpan.MinValue ? now : Max(now, _lookedAt + s_hintPause);
        return Max(soonest, _notBefore);
    }

    /// <summary>
    /// The wait that an end in sight calls for: what the rest takes at the rate seen; where a last request drags on, half
    /// of the time that it has done so.
    /// </summary>
    private TimeSpan Sooner(TimeSpan now)
    {
        TimeSpan? left = _last?.Status == BatchStatus.Finalizing ? TimeSpan.Zero : _last is null ? null : _rate.TimeLeft(_last.RequestCounts.Total);
        return left is null ? TimeSpan.MaxValue : Max(s_soon, Max(left.Value, (now - _changedAt) / 2));
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
