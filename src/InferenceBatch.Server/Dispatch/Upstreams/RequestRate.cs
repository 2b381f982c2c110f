namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// How many requests a second an upstream takes, learned from its 429s. Where more than a tenth of the answers are 429,
/// requests are paced at a fifth above the rate of the others: enough to use the whole quota, and to notice when it grows.
/// Where the share of 429s stays the same although fewer requests are sent, they have another cause, such as one of several
/// backends, and the pace is given up for a while.
/// </summary>
/// <remarks>Not safe for several threads. Times are measured from any beginning.</remarks>
internal sealed class RequestRate
{
    private const int FewestMeasured = 20;
    private const int FewestThrottled = 5;
    private const double MuchThrottled = 0.1;
    private const double HardlyThrottled = 0.05;
    private const double AboveAccepted = 1.2;
    private const double Growth = 1.25;
    private const double FewerSent = 0.9;
    private const double SameShare = 0.75;
    private const int SameShareOften = 3;

    private static readonly TimeSpan s_firstWindow = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_burst = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan s_unrelatedFor = TimeSpan.FromSeconds(15);

    private TimeSpan _windowFrom;
    private TimeSpan _next;
    private TimeSpan _unrelatedUntil;
    private TimeSpan _latencies;
    private int _good;
    private int _throttled;
    private double _sentRateBefore;
    private double _shareBefore;
    private int _sameShare;

    /// <summary>Requests a second, at most; null while none is known.</summary>
    public double? PerSecond { get; private set; }

    /// <summary>Lines that need to be in flight for that rate, at most; null while none is known.</summary>
    public int? InFlight { get; private set; }

    /// <summary>How long to wait before the next request.</summary>
    public TimeSpan Wait(TimeSpan now) => PerSecond is not null && _next > now ? _next - now : TimeSpan.Zero;

    /// <summary>Called with each request.</summary>
    public void Started(TimeSpan now)
    {
        if (PerSecond is { } rate)
        {
            _next = (_next > now - s_burst ? _next : now - s_burst) + TimeSpan.FromSeconds(1 / rate);
        }
    }

    /// <summary>Called with each answer that shows whether the upstream takes requests at this rate.</summary>
    /// <param name="wasThrottled">Whether it was a 429, or a 503 among good answers.</param>
    /// <param name="latency">How long it took.</param>
    /// <param name="now">The time.</param>
    public void Ended(bool wasThrottled, TimeSpan latency, TimeSpan now)
    {
        _good += wasThrottled ? 0 : 1;
        _throttled += wasThrottled ? 1 : 0;
        _latencies += wasThrottled ? TimeSpan.Zero : latency;
        TimeSpan window = now - _windowFrom;
        if (_good + _throttled >= FewestMeasured && window >= (PerSecond is null ? s_firstWindow : s_window))
        {
            Learn(window, now);
            (_windowFrom, _good, _throttled, _latencies) = (now, 0, 0, TimeSpan.Zero);
        }
    }

    /// <summary>Forgets the window so far: nothing was sent for a while.</summary>
    public void Restart(TimeSpan now) => (_windowFrom, _good, _throttled, _latencies) = (now, 0, 0, TimeSpan.Zero);

    private void Learn(TimeSpan window, TimeSpan now)
    {
        double share = (double)_throttled / (_good + _throttled);
        double goodRate = _good / window.TotalSeconds;
        double sentRate = (_good + _throttled) / window.TotalSeconds;
        if (share <= HardlyThrottled)
        {
            PerSecond = PerSecond * Growth is { } more && more < 4 * sentRate ? more : null;
            InFlight = PerSecond is null ? null : (int)Math.Ceiling(InFlight!.Value * Growth);
        }
        else if (share > MuchThrottled && _throttled >= FewestThrottled && _good > 0 && now >= _unrelatedUntil)
        {
            // The burst at the start of a quota looks like that too: once or twice.
            _sameShare = sentRate < FewerSent * _sentRateBefore && share > SameShare * _shareBefore ? _sameShare + 1 : 0;
            if (_sameShare >= SameShareOften)
            {
                _sameShare = 0;
                (PerSecond, InFlight, _sentRateBefore) = (null, null, 0);
                _unrelatedUntil = now + s_unrelatedFor;
                return;
            }

            PerSecond = goodRate * AboveAccepted;
            InFlight = 1 + (int)Math.Ceiling(2 * PerSecond.Value * (_latencies.TotalSeconds / _good));
            (_sentRateBefore, _shareBefore) = PerSecond < FewerSent * sentRate ? (sentRate, share) : (0, 0);
        }
    }
}
