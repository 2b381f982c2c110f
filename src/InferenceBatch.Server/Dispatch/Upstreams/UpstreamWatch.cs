namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Follows the state of an upstream from the attempts at lines. When attempt after attempt fails for a reason that is not
/// the line's, lines are held: nothing is sent for a growing pause, then one line as a probe, until one is answered.
/// </summary>
/// <remarks>
/// Not safe for several threads. Times are measured from any beginning. A failure is the line's own where lines that were
/// sent after it have succeeded: tickets number what is sent, so a line that fails remembers the newest ticket, and is
/// judged when it fails again.
/// </remarks>
internal sealed class UpstreamWatch
{
    /// <summary>So many lines that fail by themselves one after another say that the upstream is at fault; more after each time that it was not.</summary>
    private const int LinesFailedAtFirst = 20;

    /// <summary>So many failures in a row are an outage, however short the time since the last answer.</summary>
    private const int SurelyInARow = 40;

    private const int LeastInARow = 3;
    private const int MostInARow = 12;

    /// <summary>However short a wait an upstream asks for.</summary>
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(25);

    private static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_between = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan s_longestAsked = TimeSpan.FromHours(1);

    /// <summary>A server that comes back after a restart does not know what it has asked for before.</summary>
    private static readonly TimeSpan s_longestUnasked = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_patienceAtFirst = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);

    /// <summary>For how long nothing but 500 may be an outage; after that it is the answer to each line.</summary>
    private static readonly TimeSpan s_longestFailing = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan s_longestPauseOfFailures = TimeSpan.FromSeconds(2);

    private long _newestGood;
    private long _heldFrom;
    private long _probe;
    private bool _wasHeard;
    private int _inARow;
    private int _mostFailed = LinesFailedAtFirst;
    private int _askedInVain;
    private bool _isOfFailures;
    private Attempt _last;
    private TimeSpan _heldSince;
    private TimeSpan _pausedUntil;
    private TimeSpan _throttledAt;
    private TimeSpan _answeredAt;

    public UpstreamState State { get; private set; }

    /// <summary>Whether it has ever answered a line.</summary>
    public bool HasAnswered { get; private set; }

    /// <summary>When the state began.</summary>
    public TimeSpan Since { get; private set; }

    /// <summary>What was last heard of it, where it is not up.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>The newest ticket that was out when lines were held.</summary>
    public long HeldFrom => _heldFrom;

    /// <summary>Whether nothing but probes is sent.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>The newest ticket that was given out.</summary>
    public long Newest { get; private set; }

    /// <summary>After how long there is little hope left: sooner for an upstream that was never heard, whose address is likely wrong.</summary>
    public TimeSpan Patience => _wasHeard ? s_patience : s_patienceAtFirst;

    /// <summary>For how long lines are held before there is little hope left.</summary>
    public TimeSpan LongestHold => State == UpstreamState.Limited ? s_longestAsked : Patience;

    /// <summary>Whether lines have been held for longer than <see cref="LongestHold"/>, or the address is wrong: it has only ever redirected.</summary>
    public bool IsHopeless(TimeSpan now) => IsHeld && ((_last.IsRedirect && !HasAnswered) || now - _heldSince >= LongestHold);

    /// <summary>How many lines failed by themselves (500) for the first time one after another, with no answer between them.</summary>
    public int LinesFailedInARow { get; private set; }

    /// <summary>Which failures (500) came together.</summary>
    public FailureRounds Rounds { get; } = new();

    /// <summary>Whether nothing but 500 has come for so long that each line is given what it gets.</summary>
    public bool IsFailing { get; private set; }

    /// <summary>How many pauses there were since lines are held.</summary>
    public int Pauses { get; private set; }

    /// <summary>Whether an answer came after the last failure.</summary>
    public bool IsAnswering(TimeSpan now) => HasAnswered && !IsHeld && now - _answeredAt < s_between;

    /// <summary>
    /// Whether it should be asked for its models before the next probe: the lines that fail may be the only ones that are
    /// left, and then no other line can show that the upstream is there.
    /// </summary>
    public bool NeedsSecondOpinion => IsLone && _probe == 0 && !_isOfFailures;

    /// <summary>Whether all lines that are left have failed: no other line can show that the upstream is there.</summary>
    public bool IsLone => IsHeld && HasAnswered && !HasFresh && State != UpstreamState.Limited;

    /// <summary>Whether it redirects.</summary>
    public bool IsRedirect => _last.IsRedirect;

    /// <summary>Whether there are lines that were not sent yet.</summary>
    public bool HasFresh { get; set; } = true;

    /// <summary>How long to wait before a line may be sent; infinite until the probe ends.</summary>
    public TimeSpan Wait(TimeSpan now) => !IsHeld ? TimeSpan.Zero
        : _probe != 0 ? Timeout.InfiniteTimeSpan
        : _pausedUntil > now ? _pausedUntil - now : TimeSpan.Zero;

    /// <summary>Numbers a line that is sent.</summary>
    public long Start()
    {
        long ticket = ++Newest;
        _probe = IsHeld ? ticket : 0;
        return ticket;
    }

    /// <summary>A line was given up: it says nothing.</summary>
    public void Abandon(long ticket) => _probe = _probe == ticket ? 0 : _probe;

    /// <summary>Whether lines that were sent after this one last failed have succeeded.</summary>
    public bool OthersSucceed(LineHistory history) => history.FailedAt > 0 && _newestGood > history.FailedAt;

    /// <summary>The upstream answered a line.</summary>
    public void Answered(long ticket, TimeSpan now)
    {
        HasAnswered = _wasHeard = true;
        _askedInVain = 0;
        _answeredAt = now;
        _newestGood = Math.Max(_newestGood, ticket);
        if (IsHeld && ticket > _heldFrom)
        {
            _mostFailed *= _isOfFailures ? 2 : 1;
            Release(now);
        }

        if (!IsHeld)
        {
            IsFailing = false;
            Rounds.Answered();
            (_inARow, LinesFailedInARow) = (0, 0);
        }
    }

    /// <summary>
    /// The upstream failed at a line (500), which may be the line's fault. When line after line fails so, it is not: lines are
    /// held for a minute at most, so that a file of nothing but bad lines comes to an end all the same.
    /// </summary>
    /// <param name="isFirst">Whether the line has not failed before.</param>
    /// <param name="inFlight">Lines in flight, this one included.</param>
    /// <param name="limit">Lines that may be in flight.</param>
    /// <param name="mayPass">Whether lines that failed so far mostly succeeded later.</param>
    /// <returns>Whether too many lines are in flight, see <see cref="FailureRounds"/>.</returns>
    public bool FailedByItself(long ticket, in Attempt attempt, bool isFirst, int inFlight, int limit, bool mayPass, TimeSpan now)
    {
        _wasHeard = true;
        // A few bad lines that happen to be the only ones in flight are no strain.
        bool isStrain = Rounds.Failed(inFlight, mayPass && inFlight > 1 && (!HasFresh || inFlight >= limit / 2) && !IsFailing);
        LinesFailedInARow += isFirst ? 1 : 0;
        bool isMany = !IsFailing && LinesFailedInARow >= Math.Max(_mostFailed, inFlight);
        if (!IsHeld && isMany)
        {
            _heldFrom = Newest;
            Hold(UpstreamState.Away, attempt, now);
            _isOfFailures = true;
        }
        else if (IsHeld && ticket > _heldFrom)
        {
            _probe = 0;
            IsFailing = _isOfFailures && now - _heldSince >= s_longestFailing;
            if (IsFailing)
            {
                Rounds.Restart();
            }

            if (IsFailing || !_isOfFailures)
            {
                Release(now); // It is there.
            }
            else
            {
                Hold(UpstreamState.Away, attempt, now);
            }
        }

        return isStrain;
    }

    /// <summary>An attempt failed for a reason that may be the upstream's.</summary>
    /// <param name="inFlight">Lines in flight, this one included.</param>
    public void Failed(long ticket, in Attempt attempt, int inFlight, TimeSpan now)
    {
        _wasHeard |= attempt.Kind != AttemptKind.Unreachable;
        UpstreamState state = attempt.Kind switch
        {
            AttemptKind.Throttled => UpstreamState.Limited,
            AttemptKind.Refused => UpstreamState.Refusing,
            _ => UpstreamState.Away,
        };
        if (IsHeld)
        {
            // Lines that were in flight before say nothing new.
            if (ticket > _heldFrom)
            {
                _probe = 0;
                Hold(state, attempt, now);
            }

            return;
        }

        // One is enough where a wrong key or a used quota is the first that is heard of it.
        bool isFirst = !HasAnswered && attempt.Kind is (AttemptKind.Refused or AttemptKind.Throttled);
        // At the end of a file no other line can show that the upstream is there: it is asked, and the line need not be sent in vain.
        bool isAsked = !HasFresh && HasAnswered && attempt.Kind is not AttemptKind.Throttled;
        bool isFew = ++_inARow < Math.Clamp(inFlight / 8, LeastInARow, MostInARow) && !isFirst && !isAsked;
        // With few lines in flight, a quota or one bad backend of several gives rows of failures between two good answers.
        bool isBetween = HasAnswered && now - _answeredAt < s_between && attempt.Kind switch
        {
            AttemptKind.Throttled => true,
            AttemptKind.Unavailable or AttemptKind.Refused => inFlight > 1 && HasFresh && _inARow < SurelyInARow,
            _ => false,
        };
        if (isFew || isBetween)
        {
            return;
        }

        _heldFrom = Newest;
        Hold(state, attempt, now);
    }

    /// <summary>Notes that a 429 came among good answers.</summary>
    public void Throttled(bool isPaced, string reason, TimeSpan now)
    {
        _throttledAt = now;
        if (isPaced && !IsHeld && State == UpstreamState.Up)
        {
            (State, Since, Reason) = (UpstreamState.Limited, now, reason);
        }
    }

    /// <summary>Notes that nothing is throttled any more; the state changes only after a while, so that it does not flicker.</summary>
    public void NotThrottled(bool isPaced, TimeSpan now)
    {
        if (State == UpstreamState.Limited && !IsHeld && !isPaced && now - _throttledAt > s_patienceAtFirst)
        {
            Become(UpstreamState.Up, "", now);
        }
    }

    /// <summary>Takes what a request for the models showed.</summary>
    /// <param name="attempt">How it ended.</param>
    /// <param name="isKeyProven">Whether the list is not given without the key.</param>
    /// <param name="lines">Lines in flight: while there are some, they tell more.</param>
    public void Asked(in Attempt attempt, bool isKeyProven, int lines, TimeSpan now)
    {
        bool isThere = attempt.Kind is AttemptKind.Answered or AttemptKind.Failed; // A server that fails at this is there.
        _wasHeard |= attempt.Kind != AttemptKind.Unreachable;
        if (isThere && NeedsSecondOpinion)
        {
            // A key that is refused, or an account without funds, may get the list all the same.
            if (State != UpstreamState.Refusing || _last.IsForbidden || _last.IsRedirect || (_last.IsUnauthorized && isKeyProven))
            {
                _newestGood = ++Newest; // As good as an answer to a line sent now.
                _askedInVain++;
                Release(now);
            }
        }
        else if (isThere && IsHeld && !_isOfFailures && lines == 0 && _inARow == 0)
        {
            Release(now);
        }
        else if (isThere && lines == 0)
        {
            NotThrottled(isPaced: false, now); // A limit that was met by the last batch is no news when it is long over.
        }
        else if (!isThere && !IsHeld && lines == 0 && attempt.Kind is not (AttemptKind.Failed or AttemptKind.Throttled))
        {
            _heldFrom = Newest;
            Hold(attempt.Kind == AttemptKind.Refused ? UpstreamState.Refusing : UpstreamState.Away, attempt, now);
        }
    }

    /// <summary>The lines that failed were at fault, not the upstream.</summary>
    public void Acquit(TimeSpan now)
    {
        if (IsHeld)
        {
            Release(now);
        }
    }

    private void Hold(UpstreamState state, in Attempt attempt, TimeSpan now)
    {
        if (!IsHeld)
        {
            (IsHeld, Pauses, _probe, _heldSince) = (true, _askedInVain, 0, now);
        }

        _last = attempt;
        _isOfFailures &= attempt.Kind == AttemptKind.Failed;
        Become(state, attempt.Reason, now);
        TimeSpan pause = s_firstPause * Math.Pow(2, Math.Min(Pauses++, 10));
        TimeSpan most = attempt.Kind == AttemptKind.Failed ? s_longestPauseOfFailures : s_longestPause;
        pause = pause < most ? pause : most;
        TimeSpan least = state == UpstreamState.Limited ? s_shortestPause : s_firstPause;
        TimeSpan longest = state == UpstreamState.Limited ? s_longestAsked : s_longestUnasked;
        TimeSpan asked = attempt.RetryAfter is { } wait ? wait < longest ? wait : longest : pause;
        _pausedUntil = now + (asked > least ? asked : least);
    }

    private void Release(TimeSpan now)
    {
        UpstreamState state = State == UpstreamState.Limited ? UpstreamState.Limited : UpstreamState.Up;
        (IsHeld, _isOfFailures, _probe, _inARow) = (false, false, 0, 0);
        _throttledAt = now;
        Become(state, Reason, now);
    }

    private void Become(UpstreamState state, string reason, TimeSpan now)
    {
        Since = state == State ? Since : now;
        (State, Reason) = (state, state == UpstreamState.Up ? "" : reason);
    }
}
