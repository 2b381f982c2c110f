using System.Diagnostics;
using System.Globalization;
using InferenceBatch.Server.Diagnostics;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// An upstream and the decision to back off from it, which belongs to the upstream and not to each line: how many lines
/// may be in flight (<see cref="ConcurrencyLimiter"/>), how many a second (<see cref="RequestRate"/>), whether lines are
/// held (<see cref="UpstreamWatch"/>), and what an attempt means for its line. The dispatcher, <c>/healthz</c>, the page,
/// the log and <c>run</c> all ask here.
/// </summary>
internal sealed class UpstreamControl : IDisposable
{
    /// <summary>Pauses for which an outage that only few lines have met is not told: they may be at fault.</summary>
    private const int PausesInDoubt = 4;

    private static readonly TimeSpan s_quietIsTold = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_quietLook = TimeSpan.FromSeconds(7);
    private static readonly TimeSpan s_graceAfterOutage = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_askPatience = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly IUpstream _upstream;
    private readonly EngineSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _start;
    private readonly UpstreamWatch _watch = new();
    private readonly RequestRate _rate = new();
    private readonly LineJudge _judge;
    private readonly ConcurrencyLimiter _limiter;
    private readonly Dictionary<long, (TimeSpan Started, CancellationTokenSource? Cancel)> _inFlight = [];
    private readonly ITimer _quietTimer;
    private long _heardTicks;
    private int _limit;
    private bool _isHeld;
    private bool _hasFresh = true;
    private bool _isFull;
    private long _lostBefore;
    private UpstreamState _told;
    private TimeSpan _lastEnd;
    private TimeSpan _quietTold;
    private int _askedInPause = -1;
    private bool _isAsking;

    public UpstreamControl(IUpstream upstream, EngineSettings settings, TimeProvider time, ILogger logger)
    {
        _upstream = upstream;
        _settings = settings;
        _time = time;
        _logger = logger;
        _start = time.GetTimestamp();
        _judge = new LineJudge(settings, _watch, _rate);
        _limiter = new ConcurrencyLimiter(settings.Concurrency);
        _quietTimer = time.CreateTimer(_ => TellQuiet(), null, s_quietLook, s_quietLook);
    }

    /// <summary>Called when lines may be sent again that could not before. Not under the lock.</summary>
    public Action? Changed { get; set; }

    /// <summary>For how long nothing was heard of the upstream; null when nothing ever was.</summary>
    public TimeSpan? SinceHeard => Interlocked.Read(ref _heardTicks) is > 0 and long heard ? Now - new TimeSpan(heard) : null;

    /// <summary>Whether nothing but probes is sent.</summary>
    public bool IsHeld => Volatile.Read(ref _isHeld);

    /// <summary>Whether the dispatcher has lines that were not sent yet.</summary>
    public bool HasFresh { get => Volatile.Read(ref _hasFresh); set => Volatile.Write(ref _hasFresh, value); }

    /// <summary>Lines that may be in flight now.</summary>
    public int Limit => Volatile.Read(ref _limit);

    /// <summary>Its state, for people and programs.</summary>
    public UpstreamStatus Status
    {
        get
        {
            lock (_gate)
            {
                return IsInDoubt ? new UpstreamStatus(UpstreamState.Up, default, false, "")
                    : new UpstreamStatus(_watch.State, _time.GetUtcNow() - (Now - _watch.Since), _watch.IsHeld, Message);
            }
        }
    }

    /// <summary>Whether the lines that fail may be at fault, at the end of a file; the next pauses show what it is.</summary>
    private bool IsInDoubt => _watch.IsLone && _watch.Pauses <= PausesInDoubt;

    private string Message => UpstreamMessage.Of(_watch, _rate, _settings);

    /// <summary>Time that no clock that is set can move.</summary>
    private TimeSpan Now => _time.GetElapsedTime(_start);

    /// <summary>
    /// Asks whether a line may be sent; null, with its ticket, when it may. Otherwise how long to wait, or infinite:
    /// until a line in flight ends, or until <see cref="Changed"/>.
    /// </summary>
    /// <param name="inFlight">Lines that the dispatcher has in hand.</param>
    /// <param name="ticket">For <see cref="End"/> or <see cref="Abandon"/>, one of which must follow.</param>
    public TimeSpan? TryStart(int inFlight, out long ticket)
    {
        ticket = 0;
        lock (_gate)
        {
            TimeSpan now = Now;
            _watch.HasFresh = HasFresh;
            TimeSpan wait = _watch.Wait(now);
            _askedInPause = _watch.IsHeld ? _askedInPause : -1;
            if (wait == TimeSpan.Zero && _watch.NeedsSecondOpinion)
            {
                if (_askedInPause != _watch.Pauses)
                {
                    (_askedInPause, _isAsking) = (_watch.Pauses, true);
                    // Not here: its end calls the dispatcher, which is calling now.
                    _ = Task.Run(() => AskAsync(s_askPatience, CancellationToken.None));
                }

                if (_isAsking)
                {
                    return Timeout.InfiniteTimeSpan;
                }
            }

            // Lines that were sent before it was held may hang for minutes: the probe does not wait for them.
            if (wait == TimeSpan.Zero && !_watch.IsHeld)
            {
                wait = inFlight >= LimitNow() ? Timeout.InfiniteTimeSpan : _rate.Wait(now);
            }

            if (wait != TimeSpan.Zero)
            {
                return wait;
            }

            _isFull = inFlight + 1 >= LimitNow();
            ticket = _watch.Start();
            _limiter.Started(ticket);
            _rate.Started(now);
            _inFlight.Add(ticket, (now, null));
            return null;
        }
    }

    /// <summary>Sends a line.</summary>
    /// <param name="ticket">From <see cref="TryStart"/>.</param>
    /// <param name="cancel">Cancels it: the line's time is over, or the upstream that it was sent to is gone.</param>
    /// <inheritdoc cref="IUpstream.SendAsync"/>
    public async Task<UpstreamAnswer> SendAsync(long ticket, string endpoint, ReadOnlyMemory<byte> body, CancellationTokenSource cancel)
    {
        lock (_gate)
        {
            _inFlight[ticket] = _inFlight[ticket] with { Cancel = cancel };
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

    /// <summary>Takes the end of an attempt and decides what becomes of its line.</summary>
    /// <param name="ticket">From <see cref="TryStart"/>.</param>
    /// <param name="attempt">How it ended.</param>
    /// <param name="history">The line's earlier attempts.</param>
    public Verdict End(long ticket, in Attempt attempt, LineHistory history)
    {
        Verdict verdict;
        bool isReleased;
        lock (_gate)
        {
            TimeSpan now = Now;
            _watch.HasFresh = HasFresh;
            int inFlight = _inFlight.Count;
            _inFlight.Remove(ticket, out (TimeSpan Started, CancellationTokenSource? Cancel) sent);
            (_lastEnd, _quietTold) = (now, TimeSpan.Zero);
            Heard(now);
            bool wasHeld = _watch.IsHeld;
            bool isStrain = Note(ticket, attempt, history, inFlight, now - sent.Started, now);
            verdict = _judge.Judge(attempt, history, isStrain, now);
            isReleased = wasHeld && !_watch.IsHeld;
            if (isReleased)
            {
                _limiter.Restart();
                GiveUpThoseBefore(_watch.HeldFrom);
            }

            // What is held for its limit still takes as many in that time.
            if (wasHeld != _watch.IsHeld && _watch.State != UpstreamState.Limited)
            {
                _rate.Restart(now);
            }

            Volatile.Write(ref _limit, LimitNow());
            Volatile.Write(ref _isHeld, _watch.IsHeld);
            Tell();
        }

        if (isReleased)
        {
            Changed?.Invoke();
        }

        return verdict;
    }

    /// <summary>A line was given up, or could not be sent: it says nothing about the upstream.</summary>
    public void Abandon(long ticket)
    {
        lock (_gate)
        {
            if (_inFlight.Remove(ticket))
            {
                _watch.Abandon(ticket);
                (_lastEnd, _quietTold) = (Now, TimeSpan.Zero);
            }
        }
    }

    /// <summary>Asks the upstream for its models, to learn how it does.</summary>
    /// <param name="patience">How long to wait for the answer.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    public async Task AskAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        Attempt attempt;
        bool isKeyProven = false;
        try
        {
            using UpstreamAnswer answer = await _upstream.ListModelsAsync(either.Token);
            bool isRefusing = IsRefusing;
            // A server without this route is there all the same. 403: some keys may do everything but this.
            attempt = answer.StatusCode is 404 or 405 || (answer.StatusCode == 403 && !isRefusing)
                ? new Attempt(AttemptKind.Answered, "") : Attempt.Of(answer, answer.StatusCode, isAnswer: true);
            isKeyProven = attempt.IsSuccess && isRefusing && await IsKeyAskedForAsync(either.Token);
        }
        catch (UpstreamException exception)
        {
            attempt = Attempt.Of(exception);
        }
        catch (OperationCanceledException)
        {
            attempt = new Attempt(AttemptKind.Unreachable, string.Create(CultureInfo.InvariantCulture, $"It did not list its models within {patience.TotalSeconds:0} s."));
        }

        lock (_gate)
        {
            Heard(Now);
            _isAsking = false;
            _watch.Asked(attempt, isKeyProven, _inFlight.Count, Now);
            Volatile.Write(ref _isHeld, _watch.IsHeld);
            Tell();
        }

        Changed?.Invoke();
    }

    private bool IsRefusing
    {
        get
        {
            lock (_gate)
            {
                return _watch.State == UpstreamState.Refusing;
            }
        }
    }

    /// <summary>Whether the list of models is not public: then a key that gets it is good.</summary>
    private async Task<bool> IsKeyAskedForAsync(CancellationToken cancellationToken)
    {
        using UpstreamAnswer answer = await _upstream.ListModelsAsync(cancellationToken, withKey: false);
        return answer.StatusCode is 401 or 403;
    }

    /// <summary>What lines wait for, for people; null when they end one after another.</summary>
    /// <param name="quiet">How long none may end before that is said.</param>
    public string? Waiting(TimeSpan quiet)
    {
        lock (_gate)
        {
            TimeSpan now = Now;
            if (_watch.IsHeld)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{Message} ({(now - _watch.Since).TotalSeconds:N0} s so far.)");
            }

            if (_inFlight.Count == 0 || now - _lastEnd < quiet)
            {
                return null;
            }

            TimeSpan longest = now - _inFlight.Values.Min(sent => sent.Started);
            return Model.PluralFormat.Invariant($"{_inFlight.Count:N0} {_inFlight.Count:line|lines} in flight{(_inFlight.Count > 1 ? ", the longest" : "")} for {longest.TotalSeconds:N0} s.");
        }
    }

    public void Dispose()
    {
        _quietTimer.Dispose();
        _upstream.Dispose();
    }

    /// <summary>Notes an attempt; true when lines failed together, because too many are in flight.</summary>
    private bool Note(long ticket, in Attempt attempt, LineHistory history, int inFlight, TimeSpan latency, TimeSpan now)
    {
        switch (attempt.Kind)
        {
            case AttemptKind.Answered:
                _watch.Answered(ticket, now);
                if (attempt.IsSuccess)
                {
                    // Lines whose results are being written are in hand, but not at the upstream; and the last lines of a batch leave room.
                    _limiter.Answered(ticket, _isFull && inFlight >= _limiter.Limit / 2, now);
                    _rate.Ended(wasThrottled: false, latency, now);
                    _watch.NotThrottled(_rate.PerSecond is not null, now);
                }

                break;
            case AttemptKind.Failed:
                bool isStrain = _watch.FailedByItself(ticket, attempt, isFirst: history.FailedAt == 0, inFlight, _limiter.Limit, _judge.RetriesHelp, now);
                if (isStrain)
                {
                    _limiter.Strained(ticket);
                }

                return isStrain;
            case AttemptKind.TimedOut:
                _limiter.Strained(ticket);
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

    /// <summary>Whether a line was sent before the upstream went away, and will hardly be answered any more.</summary>
    public bool IsLost(long ticket)
    {
        lock (_gate)
        {
            return ticket <= _lostBefore;
        }
    }

    /// <summary>
    /// Lines that were sent before an outage: a process that was stopped may hold their connections without an answer until
    /// their time limit. One that still works on them gets a minute.
    /// </summary>
    private void GiveUpThoseBefore(long ticket)
    {
        _lostBefore = ticket;
        foreach ((_, CancellationTokenSource? cancel) in _inFlight.Where(sent => sent.Key <= ticket).Select(sent => sent.Value).ToList())
        {
            cancel?.CancelAfter(s_graceAfterOutage);
        }
    }

    private void Heard(TimeSpan now) => Interlocked.Exchange(ref _heardTicks, Math.Max(1, now.Ticks));

    private int LimitNow() => _watch.IsHeld ? 1 : Math.Min(_limiter.Limit, _rate.InFlight ?? int.MaxValue);

    /// <summary>Writes one line for each change of the state.</summary>
    private void Tell()
    {
        if (_watch.State == _told || IsInDoubt)
        {
            return;
        }

        _told = _watch.State;
        if (_told == UpstreamState.Up)
        {
            Log.UpstreamUp(_logger);
        }
        else if (_told == UpstreamState.Limited)
        {
            Log.UpstreamLimited(_logger, Message);
        }
        else
        {
            Log.UpstreamDown(_logger, Message);
        }
    }

    private void TellQuiet()
    {
        if (Waiting(s_quietIsTold) is not { } text)
        {
            return;
        }

        lock (_gate)
        {
            // After half a minute, then each time twice as long.
            TimeSpan quiet = Now - _lastEnd;
            if (_watch.IsHeld || quiet < 2 * _quietTold)
            {
                return;
            }

            _quietTold = quiet;
        }

        Log.UpstreamQuiet(_logger, text);
    }
}
