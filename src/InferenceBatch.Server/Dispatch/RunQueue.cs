using System.Collections;
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Dispatch;

/// <summary>
/// Which line of a run is sent next: those that are to be sent again first, then the file's order. Guarded by the
/// dispatcher's lock.
/// </summary>
internal sealed class RunQueue
{
    private readonly Queue<(int Index, LineHistory History)> _again = new();
    private readonly BitArray _doneAtStart;
    private int _next;
    private bool _isStopped;
    private TaskCompletionSource? _idle;

    /// <param name="doneAtStart">Lines that need not be sent; copied.</param>
    public RunQueue(BitArray doneAtStart)
    {
        _doneAtStart = new BitArray(doneAtStart);
        SkipDone();
    }

    public int InFlight { get; private set; }

    /// <summary>Whether the run stands in the dispatcher's round.</summary>
    public bool IsInRound { get; set; }

    public bool HasNext => !_isStopped && (_again.Count > 0 || _next < _doneAtStart.Length);

    /// <summary>Whether there are lines that were not sent yet.</summary>
    public bool HasFresh => !_isStopped && _next < _doneAtStart.Length;

    /// <summary>The line that <see cref="Take"/> would take.</summary>
    /// <param name="isProbe">Whether it is to find out if the upstream is back: a line that has failed says less than a fresh one.</param>
    public int Next(bool isProbe) => !(isProbe && HasFresh) && _again.TryPeek(out (int Index, LineHistory History) again) ? again.Index : _next;

    /// <summary>Takes the next line; only where <see cref="HasNext"/>.</summary>
    /// <param name="isProbe">See <see cref="Next"/>.</param>
    public (int Index, LineHistory History) Take(bool isProbe)
    {
        InFlight++;
        if (!(isProbe && HasFresh) && _again.TryDequeue(out (int Index, LineHistory History) again))
        {
            return again;
        }

        int index = _next++;
        SkipDone();
        return (index, default);
    }

    /// <summary>A line that was taken has ended, or waits to be sent again.</summary>
    public void Ended()
    {
        if (--InFlight == 0)
        {
            _idle?.TrySetResult();
        }
    }

    /// <summary>Puts a line that has waited back.</summary>
    public void Again(int index, LineHistory history) => _again.Enqueue((index, history));

    /// <summary>Takes no more lines; the task ends when none is in flight.</summary>
    public Task Stop()
    {
        _isStopped = true;
        _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (InFlight == 0)
        {
            _idle.TrySetResult();
        }

        return _idle.Task;
    }

    private void SkipDone()
    {
        while (_next < _doneAtStart.Length && _doneAtStart[_next])
        {
            _next++;
        }
    }
}
