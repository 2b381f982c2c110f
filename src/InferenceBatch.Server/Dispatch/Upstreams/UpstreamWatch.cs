namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Tracks the state of an upstream from the attempts at lines. If attempt after attempt fails for a reason that is not the
/// line's, lines are held: nothing is sent during a growing pause (<see cref="ProbePause"/>), then one line as a probe, until
/// one is answered.
/// </summary>
/// <remarks>
/// Not safe for several threads. Times are measured from an arbitrary start. A failure is the line's own if lines that were
/// sent after it have succeeded. Tickets number the lines that are sent, so a line that fails remembers the newest ticket, and
/// is judged when it fails again.
/// </remarks>
internal sealed class UpstreamWatch
{
    /// <summary>
    /// If this many lines fail by themselves in a row, the upstream is at fault. The number doubles each time that it was not.
    /// </summary>
    private const int InitialMaxFailedLines = 20;

    /// <summary>This many failures in a row are an outage, however short the time since the last answer.</summary>
    private const int CertainFailuresInARow = 40;

    private const int MinFailuresInARow = 3;
    private const int MaxFailuresInARow = 12;

    /// <summary>Failures this soon after an answer may still be a limit, or one bad backend of several.</summary>
    private static readonly TimeSpan s_recentAnswer = TimeSpan.FromSeconds(0.5);

    private static readonly TimeSpan s_giveUpAfterIfNeverHeard = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_giveUpAfter = TimeSpan.FromMinutes(10);

    /// <summary>The state stays <see cref="UpstreamState.Limited"/> for this long after the last 429.</summary>
    private static readonly TimeSpan s_limitedFor = TimeSpan.FromSeconds(30);

    /// <summary>Nothing but 500 for this long may be an outage. After that it is the answer to each line.</summary>
    private static readonly TimeSpan s_maxHoldBy500 = TimeSpan.FromMinutes(1);

    /// <summary>How long a probe may take before another line is sent as a probe. It doubles with each one.</summary>
    private static readonly TimeSpan s_probePatience = TimeSpan.FromSeconds(10);

    private long _newestSuccess;
    private long _probe;
    private TimeSpan _nextProbeAt;
    private int _lateProbes;
    private bool _wasHeard;
    private int _failuresInARow;
    private int _maxFailedLines = InitialMaxFailedLines;
    private int _releasesWithoutAnswer;
    private bool _isHeldBy500;
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

    /// <summary>Why it is not up.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>The newest ticket when the hold began.</summary>
    public long HeldFrom { get; private set; }

    /// <summary>Whether only probes are sent.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>The newest ticket.</summary>
    public long NewestTicket { get; private set; }

    /// <summary>
    /// How long an outage may last before a run gives up: less for an upstream that never responded, because its address is
    /// probably wrong.
    /// </summary>
    public TimeSpan GiveUpAfter => _wasHeard ? s_giveUpAfter : s_giveUpAfterIfNeverHeard;

    /// <summary>How long lines may be held before a run gives up.</summary>
    public TimeSpan MaxHold => State == UpstreamState.Limited ? ProbePause.MaxRequested : GiveUpAfter;

    /// <summary>
    /// Whether lines have been held for longer than <see cref="MaxHold"/>, or the address is wrong, because the upstream has only
    /// ever redirected.
    /// </summary>
    public bool IsHopeless(TimeSpan now) => IsHeld && ((_last.IsRedirect && !HasAnswered) || now - _heldSince >= MaxHold);

    /// <summary>How many lines failed by themselves (500) for the first time in a row, without an answer between them.</summary>
    public int LinesFailedInARow { get; private set; }

    /// <summary>Which failures (500) came together.</summary>
    public FailureRounds Rounds { get; } = new();

    /// <summary>Whether there was nothing but 500 for so long that the 500 is the answer to each line.</summary>
    public bool IsFailing { get; private set; }

    /// <summary>The number of pauses since the hold began.</summary>
    public int Pauses { get; private set; }

    /// <summary>Whether an answer came recently.</summary>
    public bool IsAnswering(TimeSpan now) => HasAnswered && !IsHeld && now - _answeredAt < s_recentAnswer;

    /// <summary>
    /// Whether to request its models before the next probe: if all lines that are left have failed, no other line can show that
    /// the upstream is up.
    /// </summary>
    public bool NeedsModelsCheck => HasOnlyFailedLines && _probe == 0 && !_isHeldBy500;

    /// <summary>Whether lines are held and all lines that are left have failed.</summary>
    public bool HasOnlyFailedLines => IsHeld && HasAnswered && !HasFresh && State != UpstreamState.Limited;

    /// <summary>Whether it redirects.</summary>
    public bool IsRedirect => _last.IsRedirect;

    /// <summary>Whether there are lines that were not sent yet.</summary>
    public bool HasFresh { get; set; } = true;

    /// <summary>
    /// How long to wait before a line may be sent. While a probe is in flight, the next one is sent after a while, because a
    /// single line may take minutes, or never end.
    /// </summary>
    public TimeSpan Wait(TimeSpan now)
    {
        TimeSpan until = _probe != 0 ? _nextProbeAt : _pausedUntil;
        return IsHeld && until > now ? until - now : TimeSpan.Zero;
    }

    /// <summary>Returns the ticket of a line that is sent.</summary>
    public long Start(TimeSpan now)
    {
        long ticket = ++NewestTicket;
        if (IsHeld)
        {
            _lateProbes = _probe == 0 ? 0 : _lateProbes + 1;
            (_probe, _nextProbeAt) = (ticket, now + (s_probePatience * Math.Pow(2, _lateProbes)));
        }

        return ticket;
    }

    /// <summary>A line was given up, which says nothing about the upstream.</summary>
    public void Abandon(long ticket) => _probe = _probe == ticket ? 0 : _probe;

    /// <summary>Whether lines that were sent after the last failure of this line have succeeded.</summary>
    public bool OthersSucceed(LineHistory history) => history.FailedAt > 0 && _newestSuccess > history.FailedAt;

    /// <summary>The upstream answered a line.</summary>
    public void Answered(long ticket, TimeSpan now)
    {
        HasAnswered = _wasHeard = true;
        _releasesWithoutAnswer = 0;
        _answeredAt = now;
        _newestSuccess = Math.Max(_newestSuccess, ticket);
        if (IsHeld && ticket > HeldFrom)
        {
            _maxFailedLines *= _isHeldBy500 ? 2 : 1;
            Release(now);
        }

        if (!IsHeld)
        {
            IsFailing = false;
            Rounds.Answered();
            (_failuresInARow, LinesFailedInARow) = (0, 0);
        }
    }

    /// <summary>
    /// A line failed with a 500, which may be the line's own failure. If line after line fails like this, it is the upstream's:
    /// lines are held, but for a minute at most, so that a file of nothing but bad lines also ends.
    /// </summary>
    /// <param name="isFirst">Whether the line has not failed before.</param>
    /// <param name="inFlight">Lines in flight, including this one.</param>
    /// <param name="limit">Lines that may be in flight.</param>
    /// <param name="retriesHelp">Whether most lines that failed so far succeeded later.</param>
    /// <returns>Whether too many lines are in flight, see <see cref="FailureRounds"/>.</returns>
    public bool FailedByItself(long ticket, in Attempt attempt, bool isFirst, int inFlight, int limit, bool retriesHelp, TimeSpan now)
    {
        _wasHeard = true;
        // A few bad lines that happen to be the only ones in flight are no overload.
        bool isOverload = Rounds.Failed(inFlight, retriesHelp && inFlight > 1 && (!HasFresh || inFlight >= limit / 2) && !IsFailing);
        LinesFailedInARow += isFirst ? 1 : 0;
        bool isMany = !IsFailing && LinesFailedInARow >= Math.Max(_maxFailedLines, inFlight);
        if (!IsHeld && isMany)
        {
            HeldFrom = NewestTicket;
            Hold(UpstreamState.Away, attempt, now);
            _isHeldBy500 = true;
        }
        else if (IsHeld && ticket > HeldFrom)
        {
            _probe = 0;
            IsFailing = _isHeldBy500 && now - _heldSince >= s_maxHoldBy500;
            if (IsFailing)
            {
                Rounds.Restart();
            }

            if (IsFailing || !_isHeldBy500)
            {
                Release(now); // The upstream is up.
            }
            else
            {
                Hold(UpstreamState.Away, attempt, now);
            }
        }

        return isOverload;
    }

    /// <summary>An attempt failed for a reason that may be the upstream's.</summary>
    /// <param name="inFlight">Lines in flight, including this one.</param>
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
            // Lines that were in flight when the hold began say nothing new.
            if (ticket > HeldFrom)
            {
                _probe = 0;
                Hold(state, attempt, now);
            }

            return;
        }

        // A single failure is enough if a wrong key or an exhausted quota is the first response.
        bool isFirst = !HasAnswered && attempt.Kind is (AttemptKind.Refused or AttemptKind.Throttled);
        // At the end of a file no other line can show that the upstream is up. Its models are requested instead, which saves
        // the line useless attempts.
        bool isChecked = !HasFresh && HasAnswered && attempt.Kind is not AttemptKind.Throttled;
        bool isFew = ++_failuresInARow < Math.Clamp(inFlight / 8, MinFailuresInARow, MaxFailuresInARow) && !isFirst && !isChecked;
        // With few lines in flight, a quota or one bad backend of several causes several failures in a row between answers.
        bool isBetweenAnswers = HasAnswered && now - _answeredAt < s_recentAnswer && attempt.Kind switch
        {
            AttemptKind.Throttled => true,
            AttemptKind.Unavailable or AttemptKind.Refused => inFlight > 1 && HasFresh && _failuresInARow < CertainFailuresInARow,
            _ => false,
        };
        if (isFew || isBetweenAnswers)
        {
            return;
        }

        HeldFrom = NewestTicket;
        Hold(state, attempt, now);
    }

    /// <summary>The upstream sent a 429.</summary>
    /// <param name="isPaced">Whether <see cref="RequestRate"/> limits the rate.</param>
    public void Throttled(bool isPaced, string reason, TimeSpan now)
    {
        _throttledAt = now;
        if (isPaced && !IsHeld && State == UpstreamState.Up)
        {
            (State, Since, Reason) = (UpstreamState.Limited, now, reason);
        }
    }

    /// <summary>The upstream sent no 429. The state changes only after a while, so that it does not flicker.</summary>
    /// <inheritdoc cref="Throttled"/>
    public void NotThrottled(bool isPaced, TimeSpan now)
    {
        if (State == UpstreamState.Limited && !IsHeld && !isPaced && now - _throttledAt > s_limitedFor)
        {
            Become(UpstreamState.Up, "", now);
        }
    }

    /// <summary>A request for the models ended (<see cref="ModelsCheck"/>).</summary>
    /// <param name="attempt">How it ended.</param>
    /// <param name="isKeyProven">Whether the list is refused without the key.</param>
    /// <param name="lines">Lines in flight: if there are any, they say more about the upstream.</param>
    public void ModelsChecked(in Attempt attempt, bool isKeyProven, int lines, TimeSpan now)
    {
        bool isUp = attempt.Kind is AttemptKind.Answered or AttemptKind.Failed; // A server that fails at this request is up.
        _wasHeard |= attempt.Kind != AttemptKind.Unreachable;
        if (isUp && NeedsModelsCheck)
        {
            // A server may return the list although it refuses the key, or the account has no funds.
            if (State != UpstreamState.Refusing || _last.IsForbidden || _last.IsRedirect || (_last.IsUnauthorized && isKeyProven))
            {
                _newestSuccess = ++NewestTicket; // As good as the answer to a line that is sent now.
                _releasesWithoutAnswer++;
                Release(now);
            }
        }
        else if (isUp && IsHeld && !_isHeldBy500 && lines == 0 && _failuresInARow == 0)
        {
            Release(now);
        }
        else if (isUp && lines == 0)
        {
            NotThrottled(isPaced: false, now); // The limit that the last batch reached is over after a while.
        }
        else if (!isUp && !IsHeld && lines == 0 && attempt.Kind is not (AttemptKind.Failed or AttemptKind.Throttled))
        {
            HeldFrom = NewestTicket;
            Hold(attempt.Kind == AttemptKind.Refused ? UpstreamState.Refusing : UpstreamState.Away, attempt, now);
        }
    }

    /// <summary>The failed lines were at fault, not the upstream.</summary>
    public void BlameLines(TimeSpan now)
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
            (IsHeld, Pauses, _probe, _heldSince) = (true, _releasesWithoutAnswer, 0, now);
        }

        _last = attempt;
        _isHeldBy500 &= attempt.Kind == AttemptKind.Failed;
        Become(state, attempt.Reason, now);
        _pausedUntil = now + ProbePause.After(state, attempt, Pauses++);
    }

    private void Release(TimeSpan now)
    {
        UpstreamState state = State == UpstreamState.Limited ? UpstreamState.Limited : UpstreamState.Up;
        (IsHeld, _isHeldBy500, _probe, _failuresInARow) = (false, false, 0, 0);
        _throttledAt = now;
        Become(state, Reason, now);
    }

    private void Become(UpstreamState state, string reason, TimeSpan now)
    {
        Since = state == State ? Since : now;
        (State, Reason) = (state, state == UpstreamState.Up ? "" : reason);
    }
}
