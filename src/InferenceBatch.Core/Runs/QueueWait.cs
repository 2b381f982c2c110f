using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// The parts of a run that the service refused because its queue is full, or that could not be sent for another reason
/// that may pass. All are tried again when a batch of the run has ended, for then there is room, and else after waits
/// that grow from 15 seconds to ten minutes.
/// </summary>
internal sealed class QueueWait(TimeProvider time, RunObserver observer)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_firstTold = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_toldAgain = TimeSpan.FromMinutes(30);

    private readonly List<PlacedPart> _parts = [];
    private readonly long _began = time.GetTimestamp();
    private TimeSpan _wait = s_firstWait;
    private TimeSpan _tryAt;
    private TimeSpan _notBefore;
    private TimeSpan _tellAt = TimeSpan.MaxValue;

    /// <summary>Why the last part was refused.</summary>
    public ServiceException? Reason { get; private set; }

    /// <summary>How long until there is something to do: a try, or a word to the observer; null when no part waits.</summary>
    public TimeSpan? Next
    {
        get
        {
            if (_parts.Count == 0)
            {
                return null;
            }

            TimeSpan next = (_tryAt < _tellAt ? _tryAt : _tellAt) - Now;
            return next > TimeSpan.Zero ? next : TimeSpan.Zero;
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_began);

    /// <summary>Adds a part that was refused.</summary>
    public void Add(PlacedPart part, ServiceException reason)
    {
        TimeSpan now = Now;
        if (_parts.Count == 0)
        {
            _tryAt = now + _wait;
            _wait = _wait * 1.5 < s_longestWait ? _wait * 1.5 : s_longestWait;
            _tellAt = _tellAt == TimeSpan.MaxValue ? now + s_firstTold : _tellAt;
        }

        Reason = reason;
        _parts.Add(part);
        if (reason.RetryAfter is { } asked && now + asked > _notBefore)
        {
            _notBefore = now + asked;
        }

        _tryAt = _tryAt > _notBefore ? _tryAt : _notBefore;
    }

    /// <summary>A batch of the run has ended: what it took of the queue is free.</summary>
    public void Freed()
    {
        _wait = s_firstWait;
        _tryAt = Now > _notBefore ? Now : _notBefore;
        _tellAt = _parts.Count == 0 ? TimeSpan.MaxValue : _tellAt;
    }

    /// <summary>Takes the parts whose turn it is to be tried again.</summary>
    public IReadOnlyList<PlacedPart> TakeDue()
    {
        TimeSpan now = Now;
        if (_parts.Count > 0 && now >= _tellAt)
        {
            observer.OnQueueFull(_parts.Count, Reason!);
            _tellAt = now + s_toldAgain;
        }

        return now >= _tryAt ? TakeAll() : [];
    }

    /// <summary>Takes all parts: the wait is over.</summary>
    public IReadOnlyList<PlacedPart> TakeAll()
    {
        PlacedPart[] all = [.. _parts];
        _parts.Clear();
        return all;
    }
}
