using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// The parts of a run that the service refused because its queue is full, or that could not be sent for another temporary
/// reason. All are retried when a batch of the run ends, because then the queue has room, and otherwise after waits that
/// grow from 15 seconds to ten minutes.
/// </summary>
internal sealed class QueueWait(TimeProvider time, RunObserver observer)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_firstReport = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_reportInterval = TimeSpan.FromMinutes(30);

    private readonly List<PlacedPart> _parts = [];
    private readonly long _startedAt = time.GetTimestamp();
    private TimeSpan _wait = s_firstWait;
    private TimeSpan _retryAt;
    private TimeSpan _notBefore;
    private TimeSpan _reportAt = TimeSpan.MaxValue;

    /// <summary>Why the last part was refused.</summary>
    public ServiceException? Reason { get; private set; }

    /// <summary>The time until the next retry or report; null if no part waits.</summary>
    public TimeSpan? Next
    {
        get
        {
            if (_parts.Count == 0)
            {
                return null;
            }

            TimeSpan next = (_retryAt < _reportAt ? _retryAt : _reportAt) - Now;
            return next > TimeSpan.Zero ? next : TimeSpan.Zero;
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_startedAt);

    /// <summary>Adds a part that was refused.</summary>
    public void Add(PlacedPart part, ServiceException reason)
    {
        TimeSpan now = Now;
        if (_parts.Count == 0)
        {
            _retryAt = now + _wait;
            _wait = _wait * 1.5 < s_longestWait ? _wait * 1.5 : s_longestWait;
            _reportAt = _reportAt == TimeSpan.MaxValue ? now + s_firstReport : _reportAt;
        }

        Reason = reason;
        _parts.Add(part);
        if (reason.RetryAfter is { } retryAfter && now + retryAfter > _notBefore)
        {
            _notBefore = now + retryAfter;
        }

        _retryAt = _retryAt > _notBefore ? _retryAt : _notBefore;
    }

    /// <summary>Makes all parts due, because a batch of the run has ended and the queue has room again.</summary>
    public void RetrySoon()
    {
        _wait = s_firstWait;
        _retryAt = Now > _notBefore ? Now : _notBefore;
        _reportAt = _parts.Count == 0 ? TimeSpan.MaxValue : _reportAt;
    }

    /// <summary>Takes the parts that are due for a retry.</summary>
    public IReadOnlyList<PlacedPart> TakeDue()
    {
        TimeSpan now = Now;
        if (_parts.Count > 0 && now >= _reportAt)
        {
            observer.OnQueueFull(_parts.Count, Reason!);
            _reportAt = now + s_reportInterval;
        }

        return now >= _retryAt ? TakeAll() : [];
    }

    /// <summary>Takes all parts, due or not.</summary>
    public IReadOnlyList<PlacedPart> TakeAll()
    {
        PlacedPart[] all = [.. _parts];
        _parts.Clear();
        return all;
    }
}
