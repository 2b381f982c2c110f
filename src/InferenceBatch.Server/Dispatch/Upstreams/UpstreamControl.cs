using System.Diagnostics;
using System.Globalization;
using InferenceBatch.Server.Diagnostics;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// An upstream, and the decision to back off from it, which depends on the upstream and not on each line: how many lines may
/// be in flight (<see cref="ConcurrencyLimiter"/>), how many are sent per second (<see cref="RequestRate"/>), whether lines are
/// held (<see cref="UpstreamWatch"/>), and what an attempt means for its line (<see cref="LineJudge"/>). The dispatcher,
/// <c>/healthz</c>, the page, the log and <c>run</c> all use this class.
/// </summary>
internal sealed class UpstreamControl : IDisposable
{
    private static readonly TimeSpan s_quietCheckInterval = TimeSpan.FromSeconds(7);
    private static readonly TimeSpan s_modelsCheckTimeout = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly IUpstream _upstream;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly UpstreamWatch _watch = new();
    private readonly RequestRate _rate = new();
    private readonly InFlightRequests _inFlight = new();
    private readonly LineJudge _judge;
    private readonly ConcurrencyLimiter _limiter;
    private readonly UpstreamReporter _reporter;
    private readonly ModelsCheck _modelsCheck;
    private readonly ITimer _quietTimer;
    private long _heardTicks;
    private int _limit;
    private bool _isHeld;
    private bool _hasFresh = true;
    private bool _isFull;
    private int _checkedInPause = -1;
    private bool _isChecking;

    public UpstreamControl(IUpstream upstream, EngineSettings settings, TimeProvider time, ILogger logger)
    {
        _upstream = upstream;
        _time = time;
        _start = time.GetTimestamp();
        _judge = new LineJudge(settings, _watch, _rate);
        _limiter = new ConcurrencyLimiter(settings.Concurrency);
        _reporter = new UpstreamReporter(_watch, _rate, _inFlight, settings, logger);
        _modelsCheck = new ModelsCheck(upstream, time);
        _quietTimer = time.CreateTimer(_ => ReportQuiet(logger), null, s_quietCheckInterval, s_quietCheckInterval);
    }

    /// <summary>Called when lines may be sent again. Not called under the lock.</summary>
    public Action? Changed { get; set; }

    /// <summary>The time since the last sign of the upstream; null if there was none.</summary>
    public TimeSpan? SinceHeard => Interlocked.Read(ref _heardTicks) is > 0 and long heard ? Now - new TimeSpan(heard) : null;

    /// <summary>Whether only probes are sent.</summary>
    public bool IsHeld => Volatile.Read(ref _isHeld);

    /// <summary>Whether the dispatcher has lines that were not sent yet.</summary>
    public bool HasFresh { get => Volatile.Read(ref _hasFresh); set => Volatile.Write(ref _hasFresh, value); }

    /// <summary>How many lines may be in flight now.</summary>
    public int Limit => Volatile.Read(ref _limit);

    /// <summary>The state of the upstream, for users and programs.</summary>
    public UpstreamStatus Status
    {
        get
        {
            lock (_gate)
            {
                return _reporter.IsInDoubt ? new UpstreamStatus(UpstreamState.Up, default, false, "")
                    : new UpstreamStatus(_watch.State, _time.GetUtcNow() - (Now - _watch.Since), _watch.IsHeld, _reporter.Message);
            }
        }
    }

    /// <summary>The time since the start. Changes of the system clock do not affect it.</summary>
    private TimeSpan Now => _time.GetElapsedTime(_start);

    /// <summary>
    /// Requests to send a line. Returns null and a ticket if it may be sent. Otherwise returns how long to wait; infinite means
    /// until a line in flight ends or until <see cref="Changed"/>.
    /// </summary>
    /// <param name="inFlight">The lines that the dispatcher is processing.</param>
    /// <param name="ticket">For <see cref="End"/> or <see cref="Abandon"/>, one of which must follow.</param>
    public TimeSpan? TryStart(int inFlight, out long ticket)
    {
        ticket = 0;
        lock (_gate)
        {
            TimeSpan now = Now;
            _watch.HasFresh = HasFresh;
            TimeSpan wait = _watch.Wait(now);
            _checkedInPause = _watch.IsHeld ? _checkedInPause : -1;
            if (wait == TimeSpan.Zero && _watch.NeedsModelsCheck)
            {
                if (_checkedInPause != _watch.Pauses)
                {
                    (_checkedInPause, _isChecking) = (_watch.Pauses, true);
                    // In another task, because its end calls the dispatcher, which is calling now.
                    _ = Task.Run(() => AskAsync(s_modelsCheckTimeout, CancellationToken.None));
                }

                if (_isChecking)
                {
                    return Timeout.InfiniteTimeSpan;
                }
            }

            // Lines that were sent before the hold may hang for minutes, so the probe does not wait for them.
            if (wait == TimeSpan.Zero && !_watch.IsHeld)
            {
                wait = inFlight >= LimitNow() ? Timeout.InfiniteTimeSpan : _rate.Wait(now);
            }

            if (wait != TimeSpan.Zero)
            {
                return wait;
            }

            _isFull = inFlight + 1 >= LimitNow();
            ticket = _watch.Start(now);
            _limiter.Started(ticket);
            _rate.Started(now);
            _inFlight.Add(ticket, now);
            return null;
        }
    }

    /// <summary>Sends a line.</summary>
    /// <param name="ticket">From <see cref="TryStart"/>.</param>
    /// <param name="cancel">Cancels the request: at its timeout, or if it was sent before an outage.</param>
    /// <inheritdoc cref="IUpstream.SendAsync"/>
    public async Task<UpstreamAnswer> SendAsync(long ticket, string endpoint, ReadOnlyMemory<byte> body, CancellationTokenSource cancel)
    {
        lock (_gate)
        {
            _inFlight.SetCancel(ticket, cancel);
        }

        string status = "abandoned";
        long start = Stopwatch.GetTimestamp();
        Meters.AddInFlight(1);
        try
        {
            UpstreamAnswer answer = await _upstream.SendAsync(endpoint, body, cancel.Token);
            status = answer.StatusCode.ToString(CultureInfo.InvariantCulture);
            Meters.Latency.RecordSince(start);
            return answer;
        }
        catch (UpstreamException)
        {
            status = "error";
            throw;
        }
        finally
        {
            Meters.AddInFlight(-1);
            Meters.Requests.Add(1, new KeyValuePair<string, object?>("status", status));
        }
    }

    /// <inheritdoc cref="IUpstream.ListModelsAsync"/>
    public Task<UpstreamAnswer> ListModelsAsync(CancellationToken cancellationToken) => _upstream.ListModelsAsync(cancellationToken);

    /// <summary>Ends an attempt and decides what to do with its line.</summary>
    /// <param name="ticket">From <see cref="TryStart"/>.</param>
    /// <param name="attempt">How it ended.</param>
    /// <param name="history">The earlier attempts at the line.</param>
    public Verdict End(long ticket, in Attempt attempt, LineHistory history)
    {
        Verdict verdict;
        bool isReleased;
        lock (_gate)
        {
            TimeSpan now = Now;
            _watch.HasFresh = HasFresh;
            int inFlight = _inFlight.Count;
            _inFlight.Remove(ticket, out TimeSpan started);
            _reporter.RequestEnded(now);
            Heard(now);
            bool wasHeld = _watch.IsHeld;
            bool isOverload = Record(ticket, attempt, history, inFlight, now - started, now);
            verdict = _judge.Judge(attempt, history, isOverload, now);
            isReleased = wasHeld && !_watch.IsHeld;
            if (isReleased)
            {
                _limiter.Restart();
                _inFlight.ShortenTimeouts(_watch.HeldFrom);
            }

            // While lines are held because of a limit, the rate that the upstream accepts stays the same.
            if (wasHeld != _watch.IsHeld && _watch.State != UpstreamState.Limited)
            {
                _rate.Restart(now);
            }

            Volatile.Write(ref _limit, LimitNow());
            Volatile.Write(ref _isHeld, _watch.IsHeld);
            _reporter.ReportState();
        }

        if (isReleased)
        {
            Changed?.Invoke();
        }

        return verdict;
    }

    /// <summary>Ends an attempt that was given up or could not be sent, and so says nothing about the upstream.</summary>
    public void Abandon(long ticket)
    {
        lock (_gate)
        {
            if (_inFlight.Remove(ticket, out _))
            {
                _watch.Abandon(ticket);
                _reporter.RequestEnded(Now);
            }
        }
    }

    /// <summary>Whether a line was sent before the last outage, so that a response is unlikely.</summary>
    public bool IsLost(long ticket)
    {
        lock (_gate)
        {
            return _inFlight.IsLost(ticket);
        }
    }

    /// <summary>Requests the upstream's models to learn its state.</summary>
    /// <param name="timeout">How long to wait for the response.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    public async Task AskAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        (Attempt attempt, bool isKeyProven) = await _modelsCheck.SendAsync(timeout, IsRefusing, cancellationToken);
        lock (_gate)
        {
            Heard(Now);
            _isChecking = false;
            _watch.ModelsChecked(attempt, isKeyProven, _inFlight.Count, Now);
            Volatile.Write(ref _isHeld, _watch.IsHeld);
            _reporter.ReportState();
        }

        Changed?.Invoke();
    }

    /// <summary>Describes what lines wait for; null while lines end.</summary>
    /// <param name="quiet">How long no line must have ended.</param>
    public string? Waiting(TimeSpan quiet)
    {
        lock (_gate)
        {
            return _reporter.DescribeWait(quiet, Now);
        }
    }

    public void Dispose()
    {
        _quietTimer.Dispose();
        _upstream.Dispose();
    }

    /// <summary>Records an attempt; returns true if lines failed together because too many are in flight.</summary>
    private bool Record(long ticket, in Attempt attempt, LineHistory history, int inFlight, TimeSpan latency, TimeSpan now)
    {
        switch (attempt.Kind)
        {
            case AttemptKind.Answered:
                _watch.Answered(ticket, now);
                if (attempt.IsSuccess)
                {
                    // The dispatcher also counts lines whose results are being written, which are not at the upstream. And the
                    // last lines of a batch do not use the limit.
                    _limiter.Answered(ticket, _isFull && inFlight >= _limiter.Limit / 2, now);
                    _rate.Ended(wasThrottled: false, latency, now);
                    _watch.NotThrottled(_rate.PerSecond is not null, now);
                }

                break;
            case AttemptKind.Failed:
                bool isOverload = _watch.FailedByItself(ticket, attempt, isFirst: history.FailedAt == 0, inFlight, _limiter.Limit, _judge.RetriesHelp, now);
                if (isOverload)
                {
                    _limiter.Overloaded(ticket);
                }

                return isOverload;
            case AttemptKind.TimedOut:
                _limiter.Overloaded(ticket);
                _watch.Abandon(ticket);
                break;
            default:
                if (attempt.Kind == AttemptKind.Throttled || (attempt.Kind == AttemptKind.Unavailable && _watch is { IsHeld: false, HasFresh: true }))
                {
                    _rate.Ended(wasThrottled: true, latency, now);
                }

                _watch.Failed(ticket, attempt, inFlight, now);
                if (attempt.Kind == AttemptKind.Throttled)
                {
                    _watch.Throttled(_rate.PerSecond is not null, attempt.Reason, now);
                }

                break;
        }

        return false;
    }

    private bool IsRefusing()
    {
        lock (_gate)
        {
            return _watch.State == UpstreamState.Refusing;
        }
    }

    private void Heard(TimeSpan now) => Interlocked.Exchange(ref _heardTicks, Math.Max(1, now.Ticks));

    private int LimitNow() => _watch.IsHeld ? 1 : Math.Min(_limiter.Limit, _rate.InFlight ?? int.MaxValue);

    private void ReportQuiet(ILogger logger)
    {
        string? report;
        lock (_gate)
        {
            report = _reporter.TakeQuietReport(Now);
        }

        if (report is not null)
        {
            Log.UpstreamQuiet(logger, report);
        }
    }
}
