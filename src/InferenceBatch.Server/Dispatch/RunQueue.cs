using System.Collections;

namespace InferenceBatch.Server.Dispatch;

/// <summary>
/// The only place that knows the state of each line of a run: not sent yet, in flight, waiting for its retry, ready for its
/// retry, or done. Retries that are ready are sent first, then the lines that were not sent yet, in the order of the file.
/// </summary>
/// <remarks>Guarded by the lock of the dispatcher while lines are in flight. Times are those of the dispatcher.</remarks>
internal sealed class RunQueue
{
    private readonly BitArray _done;
    private readonly Queue<QueuedLine> _ready = new();
    private readonly PriorityQueue<(QueuedLine Line, TimeSpan Earliest), TimeSpan> _waiting = new();
    private int _fresh;
    private int _inFlight;
    private bool _isStopped;
    private TaskCompletionSource? _idle;

    /// <param name="done">The lines that have a result already. The queue keeps this array up to date.</param>
    public RunQueue(BitArray done)
    {
        _done = done;
        SkipDone();
    }

    /// <summary>Whether the run is in the dispatcher's round.</summary>
    public bool IsInRound { get; set; }

    /// <summary>Whether a line can be sent now.</summary>
    public bool HasNext => _ready.Count > 0 || HasFresh;

    /// <summary>Whether there are lines that were not sent yet.</summary>
    public bool HasFresh => !_isStopped && _fresh < _done.Length;

    /// <summary>Lines that wait for their retry.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>When the next waiting line becomes ready; <see cref="TimeSpan.MaxValue"/> if no line waits.</summary>
    public TimeSpan NextDue => _waiting.TryPeek(out _, out TimeSpan due) ? due : TimeSpan.MaxValue;

    /// <summary>When the first waiting line may be sent early; <see cref="TimeSpan.MaxValue"/> if no line waits.</summary>
    public TimeSpan FindEarliest() =>
        _waiting.Count == 0 ? TimeSpan.MaxValue : _waiting.UnorderedItems.Min(item => item.Element.Earliest);

    /// <summary>Returns the index of the line that <see cref="Take"/> would take.</summary>
    /// <param name="isProbe">Whether the line probes an upstream that is down: a fresh line shows more than one that has failed.</param>
    public int Peek(bool isProbe) => !(isProbe && HasFresh) && _ready.TryPeek(out QueuedLine line) ? line.Index : _fresh;

    /// <summary>
    /// Takes the next line, which is in flight then. Call it only if <see cref="HasNext"/> is true.
    /// <see cref="EndAttempt"/> must follow.
    /// </summary>
    /// <param name="isProbe">See <see cref="Peek"/>.</param>
    public QueuedLine Take(bool isProbe)
    {
        _inFlight++;
        if (!(isProbe && HasFresh) && _ready.TryDequeue(out QueuedLine line))
        {
            return line;
        }

        int index = _fresh++;
        SkipDone();
        return new QueuedLine(index, default);
    }

    /// <summary>Whether a line has a result.</summary>
    public bool IsDone(int index) => _done[index];

    /// <summary>Records that a line has a result.</summary>
    public void MarkDone(int index) => _done[index] = true;

    /// <summary>Makes a line wait for its retry. After <see cref="Stop"/> the line stays without a result.</summary>
    /// <param name="line">The line with its history, including the last attempt.</param>
    /// <param name="due">When it becomes ready.</param>
    /// <param name="earliest">When it may be sent if no line is ready.</param>
    public void Retry(QueuedLine line, TimeSpan due, TimeSpan earliest)
    {
        if (!_isStopped)
        {
            _waiting.Enqueue((line, earliest), due);
        }
    }

    /// <summary>Makes a line ready for its retry at once. After <see cref="Stop"/> the line stays without a result.</summary>
    /// <param name="line">The line with its history, including the last attempt.</param>
    public void RetryNow(QueuedLine line)
    {
        if (!_isStopped)
        {
            _ready.Enqueue(line);
        }
    }

    /// <summary>Makes the waiting lines ready that are due.</summary>
    public void ReleaseDue(TimeSpan now)
    {
        while (NextDue <= now)
        {
            _ready.Enqueue(_waiting.Dequeue().Line);
        }
    }

    /// <summary>Makes the waiting lines ready that may be sent early.</summary>
    public void ReleaseEarly(TimeSpan now)
    {
        ((QueuedLine Line, TimeSpan Earliest) Element, TimeSpan Due)[] all = [.. _waiting.UnorderedItems];
        _waiting.Clear();
        foreach (((QueuedLine Line, TimeSpan Earliest) element, TimeSpan due) in all)
        {
            if (element.Earliest <= now)
            {
                _ready.Enqueue(element.Line);
            }
            else
            {
                _waiting.Enqueue(element, due);
            }
        }
    }

    /// <summary>Ends the attempt at a line that was taken, after its new state was recorded.</summary>
    public void EndAttempt()
    {
        if (--_inFlight == 0)
        {
            _idle?.TrySetResult();
        }
    }

    /// <summary>Hands out no more lines; the task ends when no line is in flight.</summary>
    public Task Stop()
    {
        _isStopped = true;
        _ready.Clear();
        _waiting.Clear();
        _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_inFlight == 0)
        {
            _idle.TrySetResult();
        }

        return _idle.Task;
    }

    private void SkipDone()
    {
        while (_fresh < _done.Length && _done[_fresh])
        {
            _fresh++;
        }
    }
}
