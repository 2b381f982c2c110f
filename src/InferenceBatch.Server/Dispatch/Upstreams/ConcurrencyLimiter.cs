namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// How many lines may be in flight at an upstream. With <c>auto</c> it looks for the smallest number that gives the most
/// answers a second: a model server with two slots queues the third line, which then only waits there, and may be cut off
/// by its timeout. It doubles while that brings at least 1.3 times the answers, then tries fewer, keeps the best, and tries
/// a few more or fewer from time to time. A strain, such as a timeout, halves it.
/// </summary>
/// <remarks>Not safe for several threads. Times are measured from any beginning.</remarks>
internal sealed class ConcurrencyLimiter
{
    /// <summary>The cap where nobody set one: more connections than this to one upstream help no more.</summary>
    public const int DefaultCap = 256;

    private const int FirstLimit = 4;
    private const int FirstAfterOutage = 2;
    private const double GrowthThatCounts = 1.3;
    private const double AsGood = 0.9;
    private const int FewestToGrow = 16;
    private const int FewestToCompare = 32;
    private const int LongestHold = 32;

    /// <summary>Answers before a fixed number grows again; twice as many after each strain.</summary>
    private const int FewestAfterStrain = 8;

    private const int MostAfterStrain = 512;

    private readonly int _cap;
    private readonly bool _isAuto;
    private double _limit;
    private double _ramp = double.PositiveInfinity;
    private long _started;
    private long _startedAtLastHalving;

    private Phase _phase = Phase.Grow;
    private double _best;
    private double _bestRate;
    private double _downFactor = 0.5;
    private bool _growsAfterHold;
    private bool _wasStrained;
    private int _calm;
    private int _sinceStrain;
    private int _holdFor = 4;
    private int _held;
    private long _settledFrom;
    private TimeSpan? _measuredFrom;
    private int _measured;

    /// <param name="concurrency">A number begins there and never goes above it. Null looks for the number.</param>
    public ConcurrencyLimiter(int? concurrency)
    {
        _isAuto = concurrency is null;
        _cap = concurrency ?? DefaultCap;
        _limit = concurrency ?? FirstLimit;
    }

    private enum Phase
    {
        /// <summary>Doubles.</summary>
        Grow,

        /// <summary>Tries fewer.</summary>
        Down,

        /// <summary>Tries a few more.</summary>
        Up,

        /// <summary>Stays with the best for some measurements.</summary>
        Hold,
    }

    /// <summary>Lines that may be in flight now; at least 1.</summary>
    public int Limit => Math.Max(1, (int)Math.Min(_limit, _ramp));

    /// <summary>Called with the ticket of each line that is sent; tickets only grow.</summary>
    public void Started(long ticket) => _started = ticket;

    /// <summary>Called when a line was answered.</summary>
    /// <param name="ticket">From <see cref="Started"/>.</param>
    /// <param name="wasFull">Whether the limit was in use: only then do answers say anything about it.</param>
    /// <param name="now">The time.</param>
    public void Answered(long ticket, bool wasFull, TimeSpan now)
    {
        if (_ramp < _limit)
        {
            _ramp += 1; // Doubles each round trip.
            Settle();
            return;
        }

        _ramp = double.PositiveInfinity;
        if (!wasFull)
        {
            Settle();
        }
        else if (_isAuto)
        {
            Measure(ticket, now);
        }
        else if (++_sinceStrain >= _calm)
        {
            _limit = Math.Min(_cap, _limit + (1 / _limit));
        }
    }

    /// <summary>Called when a line timed out, or lines fail together: at most once a round trip, half as many are sent.</summary>
    public void Strained(long ticket)
    {
        if (ticket > _startedAtLastHalving)
        {
            _startedAtLastHalving = _started;
            (_calm, _sinceStrain) = (Math.Clamp(_calm * 2, FewestAfterStrain, MostAfterStrain), 0);
            _limit = Math.Max(1, _limit / 2);
            (_best, _bestRate) = (_limit, 0);
            (_growsAfterHold, _holdFor) = (true, Math.Min(LongestHold, _growsAfterHold || _wasStrained ? _holdFor * 2 : 2));
            _wasStrained = true;
            Enter(Phase.Hold);
        }
    }

    /// <summary>Called when an upstream is back: few lines are sent at first, twice as many each round trip.</summary>
    public void Restart()
    {
        _ramp = FirstAfterOutage;
        Settle();
    }

    private void Measure(long ticket, TimeSpan now)
    {
        if (_measuredFrom is not { } from)
        {
            // Lines that were sent under another limit say nothing about this one.
            if (ticket > _settledFrom)
            {
                (_measuredFrom, _measured) = (now, 0);
            }

            return;
        }

        // Whole round trips: lines that are sent together end together.
        int fewest = _phase == Phase.Grow ? FewestToGrow : FewestToCompare;
        int wanted = (int)_limit * Math.Max(1, (int)Math.Ceiling(fewest / (double)(int)_limit));
        if (++_measured >= wanted && now > from)
        {
            Decide(_measured / (now - from).TotalSeconds);
        }
    }

    private void Decide(double rate)
    {
        switch (_phase)
        {
            case Phase.Grow when rate >= GrowthThatCounts * _bestRate:
                Keep(rate);
                if (_limit >= _cap)
                {
                    Enter(Phase.Hold);
                    return;
                }

                _limit = Math.Min(_cap, _limit * 2);
                Settle();
                return;

            case Phase.Down when rate >= AsGood * _bestRate:
                (_best, _bestRate) = (_limit, Math.Max(_bestRate, rate));
                TryFewer();
                return;

            case Phase.Down when _downFactor < 0.7 && _best > 2:
                (_limit, _downFactor) = (_best, 0.75);
                TryFewer();
                return;

            case Phase.Up when rate >= _bestRate * (1 + (0.5 * ((_limit / _best) - 1))):
                Keep(rate);
                _holdFor = 4;
                TryMore();
                return;

            case Phase.Grow:
                // Both are above what the upstream can use, or near it: their mean is the better measure.
                (_limit, _bestRate, _downFactor) = (_best, (_bestRate + Math.Min(rate, _bestRate)) / 2, 0.5);
                TryFewer();
                return;

            case Phase.Up when _best > 2:
                (_limit, _downFactor) = (_best, 0.75);
                TryFewer();
                return;

            case Phase.Down or Phase.Up:
                _limit = _best;
                _holdFor = Math.Min(LongestHold, _holdFor * 2);
                Enter(Phase.Hold);
                return;

            default:
                (_best, _bestRate) = (_limit, ((_bestRate * _held) + rate) / (_held + 1));
                if (++_held < _holdFor)
                {
                    Settle();
                    return;
                }

                if (_growsAfterHold)
                {
                    // What strained it may have been one batch: double again, after longer each time it comes back.
                    _growsAfterHold = false;
                    _limit = Math.Min(_cap, _limit * 2);
                    Enter(Phase.Grow);
                    return;
                }

                TryMore();
                return;
        }
    }

    private void Keep(double rate) => (_best, _bestRate) = (_limit, rate);

    private void TryFewer()
    {
        if (_best <= 1)
        {
            Enter(Phase.Hold);
            return;
        }

        _limit = Math.Max(1, Math.Min(_best - 1, Math.Floor(_best * _downFactor)));
        Enter(Phase.Down);
    }

    private void TryMore()
    {
        if (_limit >= _cap)
        {
            Enter(Phase.Hold);
            return;
        }

        _limit = Math.Min(_cap, Math.Max(_best + 1, Math.Floor(_best * 1.25)));
        Enter(Phase.Up);
    }

    private void Enter(Phase phase)
    {
        (_phase, _held) = (phase, 0);
        Settle();
    }

    private void Settle() => (_settledFrom, _measuredFrom) = (_started, null);
}
