using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Dispatch;

/// <summary>
/// Sends the lines of all runs to one upstream: as many at once as <see cref="UpstreamControl"/> allows, the runs taking
/// turns line by line, so that a small batch does not wait behind a large one. Nothing here polls: the end of a line
/// starts the next.
/// </summary>
internal sealed class LineDispatcher : IDisposable
{
    /// <summary>Bytes of lines that are in flight together, at most, unless it is one line: each is held whole, several times over on its way.</summary>
    private const long MaxBytesInFlight = 32 * 1024 * 1024;

    /// <summary>Among more waiting lines than this none is looked for that may be sent early: there is enough to do.</summary>
    private const int MostEarly = 1000;

    private static readonly TimeSpan s_shortestTimer = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();
    private readonly Queue<LineRun> _round = new();
    private readonly PriorityQueue<Work, TimeSpan> _waiting = new();
    private readonly UpstreamControl _upstream;
    private readonly LineSender _sender;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly ITimer _timer;
    private int _inFlight;
    private long _bytesInFlight;
    private TimeSpan _timerDue = TimeSpan.MaxValue;

    public LineDispatcher(UpstreamControl upstream, EngineSettings settings, TimeProvider time, HealthIssues issues, ILogger logger)
    {
        _upstream = upstream;
        _sender = new LineSender(upstream, settings, time, issues, logger);
        _time = time;
        _start = time.GetTimestamp();
        _timer = time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        upstream.Changed = StartWorkers;
    }

    /// <summary>Begins to send a run's lines.</summary>
    public void Add(LineRun run)
    {
        lock (_gate)
        {
            JoinRound(run);
        }

        StartWorkers();
    }

    /// <summary>Sends no more of a run's lines, and gives those in flight some time; the task ends when none is in flight.</summary>
    /// <param name="grace">How long they may continue.</param>
    /// <param name="hurry">Ends the grace.</param>
    public async Task StopAsync(LineRun run, TimeSpan grace, CancellationToken hurry = default)
    {
        Task idle;
        lock (_gate)
        {
            idle = run.Queue.Stop();
        }

        try
        {
            await idle.WaitAsync(grace, _time, hurry);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            run.Abort();
            await idle;
        }
    }

    public void Dispose()
    {
        _upstream.Changed = null;
        _timer.Dispose();
    }

    /// <summary>Time that no clock that is set can move.</summary>
    private TimeSpan Now => _time.GetElapsedTime(_start);

    private void StartWorkers()
    {
        while (true)
        {
            Work work;
            lock (_gate)
            {
                if (!TryTake(out work))
                {
                    return;
                }
            }

            ThreadPool.UnsafeQueueUserWorkItem(first => _ = WorkAsync(first), work, preferLocal: false);
        }
    }

    private async Task WorkAsync(Work work)
    {
        bool hasNext;
        do
        {
            Verdict verdict = await _sender.SendAsync(work.Run, work.Index, work.Ticket, work.History);
            bool hasMore;
            lock (_gate)
            {
                _inFlight--;
                _bytesInFlight -= work.Bytes;
                TakeEnd(work, verdict);
                hasNext = TryTake(out work);
                hasMore = hasNext && _inFlight < _upstream.Limit && _round.Count > 0;
            }

            if (hasMore)
            {
                StartWorkers();
            }
        }
        while (hasNext);
    }

    private void TakeEnd(in Work work, in Verdict verdict)
    {
        if (verdict.Wait is { } wait)
        {
            Meters.Retries.Add(1);
            if (verdict.History != work.History)
            {
                work.Run.AddRetry(verdict.Reason);
            }

            Work again = work with { History = verdict.History, Soonest = Now + verdict.Soonest };
            if (wait == TimeSpan.Zero)
            {
                SendAgain(again);
            }
            else
            {
                _waiting.Enqueue(again, Now + wait);
            }
        }

        if (verdict.GivesUp is { } message)
        {
            work.Run.Break(new UpstreamException(UpstreamFault.Unreachable, message));
        }

        work.Run.Queue.Ended();
    }

    /// <summary>Takes the next line, if there is one and the upstream takes it now; else sees to it that it is tried again in time.</summary>
    private bool TryTake(out Work work)
    {
        work = default;
        if (_round.Count == 0)
        {
            SendEarly();
        }

        while (_round.TryPeek(out LineRun? run))
        {
            if (!run.Queue.HasNext)
            {
                _round.Dequeue();
                run.Queue.IsInRound = false;
                continue;
            }

            bool isProbe = _upstream.IsHeld;
            int bytes = run.SpanOf(run.Queue.Next(isProbe)).Length;
            if (_bytesInFlight > 0 && _bytesInFlight + bytes > MaxBytesInFlight)
            {
                return false; // The end of a line in flight comes here again.
            }

            _upstream.HasFresh = HasFresh();
            if (_upstream.TryStart(_inFlight, out long ticket) is { } wait)
            {
                if (wait != Timeout.InfiniteTimeSpan)
                {
                    SetTimer(Now + wait);
                }

                break;
            }

            _round.Dequeue();
            run.Queue.IsInRound = false;
            (int index, LineHistory history) = run.Queue.Take(isProbe);
            work = new Work(run, index, bytes, ticket, history, default);
            _inFlight++;
            _bytesInFlight += bytes;
            JoinRound(run);
            _upstream.HasFresh = HasFresh();
            break;
        }

        if (_waiting.TryPeek(out _, out TimeSpan due))
        {
            SetTimer(due);
        }

        return work.Run is not null;
    }

    private bool HasFresh()
    {
        foreach (LineRun run in _round)
        {
            if (run.Queue.HasFresh)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>No line is ready: those that wait may be sent as soon as their wait allows it.</summary>
    private void SendEarly()
    {
        if (_waiting.Count is 0 or > MostEarly)
        {
            return;
        }

        TimeSpan now = Now;
        TimeSpan first = _waiting.UnorderedItems.Min(item => item.Element.Soonest);
        if (first > now)
        {
            SetTimer(first);
            return;
        }

        (Work Element, TimeSpan Priority)[] all = [.. _waiting.UnorderedItems];
        _waiting.Clear();
        foreach ((Work element, TimeSpan due) in all)
        {
            if (element.Soonest <= now)
            {
                SendAgain(element);
            }
            else
            {
                _waiting.Enqueue(element, due);
            }
        }
    }

    private void SendAgain(in Work work)
    {
        work.Run.Queue.Again(work.Index, work.History);
        JoinRound(work.Run);
    }

    private void JoinRound(LineRun run)
    {
        if (!run.Queue.IsInRound && run.Queue.HasNext)
        {
            run.Queue.IsInRound = true;
            _round.Enqueue(run);
        }
    }

    private void SetTimer(TimeSpan due)
    {
        if (due < _timerDue)
        {
            _timerDue = due;
            TimeSpan wait = due - Now;
            // A timer may fire a little early; it must not fire in a tight loop.
            _timer.Change(wait > s_shortestTimer ? wait : s_shortestTimer, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer()
    {
        lock (_gate)
        {
            _timerDue = TimeSpan.MaxValue;
            TimeSpan now = Now;
            while (_waiting.TryPeek(out Work work, out TimeSpan due) && due <= now)
            {
                _waiting.Dequeue();
                SendAgain(work);
            }
        }

        StartWorkers();
    }

    private readonly record struct Work(LineRun Run, int Index, int Bytes, long Ticket, LineHistory History, TimeSpan Soonest);
}
