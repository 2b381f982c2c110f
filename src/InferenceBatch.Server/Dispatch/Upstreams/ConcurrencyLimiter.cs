namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// How many lines may be in flight at an upstream. With <c>auto</c> it searches for the smallest number with the highest
/// throughput: a model server with two slots queues the third line, which only waits there and may reach its timeout. It
/// doubles the number while that increases the throughput by at least 30 %, then tries lower numbers, keeps the best, and
/// tries slightly higher and lower numbers from time to time. An overload, such as a timeout, halves it.
/// </summary>
/// <remarks>Not safe for several threads. Times are measured from an arbitrary start.</remarks>
internal sealed class ConcurrencyLimiter
{
    /// <summary>The limit if none is set: more connections to one upstream do not help.</summary>
    public const int DefaultCap = 256;

    private const int InitialLimit = 4;
    private const int InitialLimitAfterOutage = 2;
    private const double MinGrowth = 1.3;
    private const double MinShareOfBest = 0.9;
    private const int MinAnswersToGrow = 16;
    private const int MinAnswersToCompare = 32;
    private const int MaxHold = 32;

    /// <summary>Answers before a fixed number grows again; twice as many after each overload.</summary>
    private const int MinAnswersAfterOverload = 8;

    private const int MaxAnswersAfterOverload = 512;

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
    private bool _wasOverloaded;
    private int _answersToGrow;
    private int _sinceOverload;
    private int _holdFor = 4;
    private int _held;
    private long _settledFrom;
    private TimeSpan? _measuredFrom;
    private int _measured;

    /// <param name="concurrency">The number of lines to start with and never to exceed. Null searches for the best number.</param>
    public ConcurrencyLimiter(int? concurrency)
    {
        _isAuto = concurrency is null;
        _cap = concurrency ?? DefaultCap;
        _limit = concurrency ?? InitialLimit;
    }

    private enum Phase
    {
        /// <summary>Doubles the number.</summary>
        Grow,

        /// <summary>Tries lower numbers.</summary>
        Down,

        /// <summary>Tries slightly higher numbers.</summary>
        Up,

        /// <summary>Keeps the best number for some measurements.</summary>
        Hold,
    }

    /// <summary>How many lines may be in flight now; at least 1.</summary>
    public int Limit => Math.Max(1, (int)Math.Min(_limit, _ramp));

    /// <summary>Call this for each line that is sent. Tickets must increase.</summary>
    public void Started(long ticket) => _started = ticket;

    /// <summary>Call this for each answer.</summary>
    /// <param name="ticket">From <see cref="Started"/>.</param>
    /// <param name="wasFull">Whether the limit was reached: only then does the answer say anything about it.</param>
    /// <param name="now">The time.</param>
    public void Answered(long ticket, bool wasFull, TimeSpan now)
    {
        if (_ramp < _limit)
        {
            _ramp += 1; // Doubles with each round trip.
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
        else if (++_sinceOverload >= _answersToGrow)
        {
            _limit = Math.Min(_cap, _limit + (1 / _limit));
        }
    }

    /// <summary>Call this if a line times out, or if lines fail together. Halves the limit, at most once per round trip.</summary>
    public void Overloaded(long ticket)
    {
        if (ticket > _startedAtLastHalving)
        {
            _startedAtLastHalving = _started;
            (_answersToGrow, _sinceOverload) = (Math.Clamp(_answersToGrow * 2, MinAnswersAfterOverload, MaxAnswersAfterOverload), 0);
            _limit = Math.Max(1, _limit / 2);
            (_best, _bestRate) = (_limit, 0);
            (_growsAfterHold, _holdFor) = (true, Math.Min(MaxHold, _growsAfterHold || _wasOverloaded ? _holdFor * 2 : 2));
            _wasOverloaded = true;
            Enter(Phase.Hold);
        }
    }

    /// <summary>Call this if an upstream is up again. The limit starts low and doubles with each round trip.</summary>
    public void Restart()
    {
        _ramp = InitialLimitAfterOutage;
        Settle();
    }

    private void Measure(long ticket, TimeSpan now)
    {
        if (_measuredFrom is not { } from)
        {
            // Lines that were sent under another limit say nothing about the current one.
            if (ticket > _settledFrom)
            {
                (_measuredFrom, _measured) = (now, 0);
            }

            return;
        }

        // Measures complete round trips, because lines that are sent together end together.
        int min = _phase == Phase.Grow ? MinAnswersToGrow : MinAnswersToCompare;
        int needed = (int)_limit * Math.Max(1, (int)Math.Ceiling(min / (double)(int)_limit));
        if (++_measured >= needed && now > from)
        {
            Decide(_measured / (now - from).TotalSeconds);
        }
    }

    private void Decide(double rate)
    {
        switch (_phase)
        {
            case Phase.Grow when rate >= MinGrowth * _bestRate:
                Keep(rate);
                if (_limit >= _cap)
                {
                    Enter(Phase.Hold);
                    return;
                }

                _limit = Math.Min(_cap, _limit * 2);
                Settle();
                return;

            case Phase.Down when rate >= MinShareOfBest * _bestRate:
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
                // Both numbers are near or above what the upstream can use, so the mean of their rates is more precise.
                (_limit, _bestRate, _downFactor) = (_best, (_bestRate + Math.Min(rate, _bestRate)) / 2, 0.5);
                TryFewer();
                return;

            case Phase.Up when _best > 2:
                (_limit, _downFactor) = (_best, 0.75);
                TryFewer();
                return;

            case Phase.Down or Phase.Up:
                _limit = _best;
                _holdFor = Math.Min(MaxHold, _holdFor * 2);
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
                    // A single batch may have caused the overload: double again, after a longer time for each overload.
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
