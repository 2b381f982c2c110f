using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Dispatch;

/// <summary>
/// Sends the lines of all runs to one upstream, as many at once as <see cref="UpstreamControl"/> allows. The runs take turns
/// line by line, so that a small batch does not wait behind a large one. It does not poll: the end of one line starts the
/// next one. Which line of a run is next is up to its <see cref="RunQueue"/>.
/// </summary>
internal sealed class LineDispatcher : IDisposable
{
    /// <summary>
    /// The most bytes of lines in flight, unless a single line is larger: each line in flight is in memory completely, several
    /// times over.
    /// </summary>
    private const long MaxBytesInFlight = 32 * 1024 * 1024;

    /// <summary>If more lines than this wait for a retry, none of them is sent early: some are due soon anyway.</summary>
    private const int MaxEarly = 1000;

    private static readonly TimeSpan s_minTimer = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();
    private readonly HashSet<LineRun> _runs = [];
    private readonly Queue<LineRun> _round = new();
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

    /// <summary>Starts to send the lines of a run.</summary>
    public void Add(LineRun run)
    {
        lock (_gate)
        {
            _runs.Add(run);
            JoinRound(run);
        }

        StartWorkers();
    }

    /// <summary>Sends no more lines of a run. The task ends when none of its lines is in flight.</summary>
    /// <param name="run">The run. It may be one that was not added.</param>
    /// <param name="grace">How long lines in flight may continue before they are given up.</param>
    /// <param name="skipGrace">Ends the grace.</param>
    public async Task StopAsync(LineRun run, TimeSpan grace, CancellationToken skipGrace = default)
    {
        Task idle;
        lock (_gate)
        {
            _runs.Remove(run);
            idle = run.Queue.Stop();
        }

        try
        {
            await idle.WaitAsync(grace, _time, skipGrace);
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

    /// <summary>The time since the start. Changes of the system clock do not affect it.</summary>
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
            Verdict? verdict = await _sender.SendAsync(work.Run, work.Line, work.Ticket);
            bool hasMore;
            lock (_gate)
            {
                _inFlight--;
                _bytesInFlight -= work.Bytes;
                EndAttempt(work, verdict);
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

    private void EndAttempt(in Work work, in Verdict? outcome)
    {
        (LineRun run, QueuedLine line) = (work.Run, work.Line);
        if (outcome is { Wait: null })
        {
            run.Queue.MarkDone(line.Index);
        }
        else if (outcome is { Wait: { } wait } verdict)
        {
            Meters.Retries.Add(1);
            if (verdict.History != line.History)
            {
                run.AddRetry(verdict.Reason);
            }

            line = line with { History = verdict.History };
            if (wait == TimeSpan.Zero)
            {
                run.Queue.RetryNow(line);
                JoinRound(run);
            }
            else
            {
                TimeSpan now = Now;
                run.Queue.Retry(line, now + wait, now + verdict.MinWait);
                SetTimer(now + wait);
            }

            if (verdict.RunError is { } message)
            {
                run.Break(new UpstreamException(UpstreamFault.Unreachable, message));
            }
        }

        run.Queue.EndAttempt();
    }

    /// <summary>
    /// Takes the next line, if there is one and the upstream accepts it now. Otherwise an event or the timer causes the next
    /// try.
    /// </summary>
    private bool TryTake(out Work work)
    {
        work = default;
        if (_round.Count == 0)
        {
            ReleaseEarly();
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
            int bytes = run.SpanOf(run.Queue.Peek(isProbe)).Length;
            if (_bytesInFlight > 0 && _bytesInFlight + bytes > MaxBytesInFlight)
            {
                return false; // The end of a line in flight tries again.
            }

            _upstream.HasFresh = HasFresh();
            if (_upstream.TryStart(_inFlight, out long ticket) is { } wait)
            {
                if (wait != Timeout.InfiniteTimeSpan)
                {
                    SetTimer(Now + wait);
                }

                return false;
            }

            _round.Dequeue();
            run.Queue.IsInRound = false;
            work = new Work(run, run.Queue.Take(isProbe), bytes, ticket);
            _inFlight++;
            _bytesInFlight += bytes;
            JoinRound(run);
            _upstream.HasFresh = HasFresh();
            return true;
        }

        return false;
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

    /// <summary>If no line is ready, waiting lines may be sent as soon as their shorter wait is over.</summary>
    private void ReleaseEarly()
    {
        int waiting = 0;
        foreach (LineRun run in _runs)
        {
            waiting += run.Queue.Waiting;
        }

        if (waiting is 0 or > MaxEarly)
        {
            return;
        }

        TimeSpan now = Now;
        TimeSpan earliest = _runs.Min(run => run.Queue.FindEarliest());
        if (earliest > now)
        {
            SetTimer(earliest);
            return;
        }

        foreach (LineRun run in _runs)
        {
            run.Queue.ReleaseEarly(now);
            JoinRound(run);
        }
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
            // A timer may fire a little early, which must not cause a tight loop.
            _timer.Change(wait > s_minTimer ? wait : s_minTimer, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer()
    {
        lock (_gate)
        {
            _timerDue = TimeSpan.MaxValue;
            TimeSpan now = Now;
            TimeSpan next = TimeSpan.MaxValue;
            foreach (LineRun run in _runs)
            {
                run.Queue.ReleaseDue(now);
                JoinRound(run);
                next = next < run.Queue.NextDue ? next : run.Queue.NextDue;
            }

            SetTimer(next);
        }

        StartWorkers();
    }

    /// <summary>A line in flight.</summary>
    private readonly record struct Work(LineRun Run, QueuedLine Line, int Bytes, long Ticket);
}
