using System.Globalization;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Execution.Upstreams;

namespace InferenceBatch.Server.Execution;

/// <summary>
/// Sends the lines of all runs to one upstream: as many at once as the controller allows, the runs taking turns line
/// by line, so that a small batch does not wait behind a large one. Nothing here polls: a line's end starts the next.
/// </summary>
internal sealed class LineDispatcher : IDisposable
{
    /// <summary>Bytes of lines that are in flight together, at most, unless it is one line: each is held whole, several times over on its way.</summary>
    private const long MaxBytesInFlight = 32 * 1024 * 1024;

    private readonly Lock _gate = new();
    private readonly Queue<LineRun> _round = new();
    private readonly PriorityQueue<Work, TimeSpan> _waiting = new();
    private readonly ConcurrencyController _controller;
    private readonly LineSender _sender;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly Troubles _troubles;
    private readonly ITimer _timer;
    private readonly ITimer _pauseTimer;
    private readonly OutageGuard _outage = new();
    private readonly bool _givesUp;
    private int _inFlight;
    private long _bytesInFlight;
    private bool _isPaused;

    public LineDispatcher(IUpstream upstream, EngineSettings settings, TimeProvider time, Troubles troubles, ILogger logger)
    {
        _controller = new ConcurrencyController(settings.Concurrency);
        _sender = new LineSender(upstream, settings, time, troubles, logger);
        _time = time;
        _start = time.GetTimestamp();
        _troubles = troubles;
        _givesUp = settings.GivesUpOnUpstream;
        _timer = time.CreateTimer(_ => EndWaits(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _pauseTimer = time.CreateTimer(_ => EndPause(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
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
    /// <param name="grace">How long they may go on.</param>
    /// <param name="hurry">Ends the grace.</param>
    public async Task StopAsync(LineRun run, TimeSpan grace, CancellationToken hurry = default)
    {
        Task idle;
        lock (_gate)
        {
            idle = run.Turn.Stop();
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
        _timer.Dispose();
        _pauseTimer.Dispose();
    }

    /// <summary>Time that no clock that is set can move.</summary>
    private TimeSpan Now => _time.GetElapsedTime(_start);

    /// <summary>Lines that may be in flight now: while the upstream is away, one at a time to see whether it is back.</summary>
    private int Limit => _isPaused ? 0 : _outage.IsAway ? 1 : _controller.Limit;

    private string Patience => string.Create(CultureInfo.InvariantCulture, $"{_outage.Patience.TotalSeconds:0} s");

    private void StartWorkers()
    {
        while (true)
        {
            Work work;
            lock (_gate)
            {
                if (_inFlight >= Limit || !TryTake(out work))
                {
                    return;
                }

                _inFlight++;
            }

            ThreadPool.UnsafeQueueUserWorkItem(first => _ = WorkAsync(first), work, preferLocal: false);
        }
    }

    private async Task WorkAsync(Work work)
    {
        bool goesOn;
        do
        {
            LineEnd end = await _sender.SendAsync(work.Run, work.Index, work.Attempts);
            bool hasRoom;
            lock (_gate)
            {
                if (end.WasSent)
                {
                    _controller.Ended(work.Ticket, end.WasStrained, wasFull: _inFlight >= _controller.Limit);
                    NoteOutage(work.Run, end);
                }

                if (end.WaitToTryAgain is { } wait)
                {
                    Meters.Retries.Add(1);
                    Wait(work with { Attempts = end.Attempts }, wait);
                }

                work.Run.Turn.Ended();
                _bytesInFlight -= work.Bytes;
                goesOn = _inFlight <= Limit && TryTake(out work);
                _inFlight -= goesOn ? 0 : 1;
                hasRoom = _inFlight < Limit && _round.Count > 0;
            }

            if (hasRoom)
            {
                StartWorkers();
            }
        }
        while (goesOn);
    }

    private bool TryTake(out Work work)
    {
        while (_round.TryPeek(out LineRun? run))
        {
            int bytes = run.Turn.HasNext ? run.SpanOf(run.Turn.Next).Length : 0;
            if (_bytesInFlight > 0 && _bytesInFlight + bytes > MaxBytesInFlight)
            {
                break; // The end of a line in flight comes here again.
            }

            _round.Dequeue();
            run.Turn.IsInRound = false;
            if (run.Turn.HasNext)
            {
                (int index, int attempts) = run.Turn.Take();
                work = new Work(run, index, attempts, bytes, _controller.Started());
                _bytesInFlight += bytes;
                JoinRound(run);
                return true;
            }
        }

        work = default;
        return false;
    }

    private void JoinRound(LineRun run)
    {
        if (!run.Turn.IsInRound && run.Turn.HasNext)
        {
            run.Turn.IsInRound = true;
            _round.Enqueue(run);
        }
    }

    private void Wait(Work work, TimeSpan wait)
    {
        TimeSpan due = Now + wait;
        if (!_waiting.TryPeek(out _, out TimeSpan first) || due < first)
        {
            _timer.Change(wait, Timeout.InfiniteTimeSpan);
        }

        _waiting.Enqueue(work, due);
    }

    private void NoteOutage(LineRun run, in LineEnd end)
    {
        TimeSpan now = Now;
        if (end.Fault is null)
        {
            _outage.Reached();
            _isPaused = false;
            _troubles.End(Troubles.Upstream, Troubles.Upstream);
        }
        else if (!_isPaused && _outage.Missed(now, hadConnection: end.WasStrained) is { Ticks: > 0 } wait)
        {
            // Lines that were in flight beside the one that began the pause say nothing new.
            _isPaused = true;
            _pauseTimer.Change(wait, Timeout.InfiniteTimeSpan);
            _troubles.Begin(Troubles.Upstream, Troubles.Upstream, $"The upstream is away: no connection can be made, or each breaks. Lines wait for it{(_givesUp ? $", for {Patience}" : "")}.", end.Fault);
            if (_givesUp && _outage.IsHopeless(now))
            {
                run.Break(new UpstreamException(
                    UpstreamFault.Unreachable, $"The upstream has been away for {Patience}: {end.Fault} Nothing is lost: the same command goes on from here."));
            }
        }
    }

    private void EndPause()
    {
        lock (_gate)
        {
            _isPaused = false;
        }

        StartWorkers();
    }

    private void EndWaits()
    {
        lock (_gate)
        {
            TimeSpan now = Now;
            while (_waiting.TryPeek(out Work work, out TimeSpan due))
            {
                if (due > now)
                {
                    // A timer may fire a little early; it must not fire in a tight loop.
                    TimeSpan left = due - now;
                    _timer.Change(left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
                    break;
                }

                _waiting.Dequeue();
                work.Run.Turn.Again(work.Index, work.Attempts);
                JoinRound(work.Run);
            }
        }

        StartWorkers();
    }

    private readonly record struct Work(LineRun Run, int Index, int Attempts, int Bytes, long Ticket);
}
