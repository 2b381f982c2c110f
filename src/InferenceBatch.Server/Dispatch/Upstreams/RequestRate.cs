namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// How many requests per second an upstream accepts, learned from its 429s. If more than a tenth of the responses are 429s,
/// requests are sent at 1.2 times the rate of the other responses: enough to use the whole quota, and to notice when it
/// grows. If the share of 429s stays the same although fewer requests are sent, they have another cause, such as one of
/// several backends, and the rate is not limited for a while.
/// </summary>
/// <remarks>Not safe for several threads. Times are measured from an arbitrary start.</remarks>
internal sealed class RequestRate
{
    private const int MinMeasured = 20;
    private const int MinMeasuredIfSlow = 5;
    private const int MinThrottled = 5;
    private const double HighShare = 0.1;
    private const double LowShare = 0.05;
    private const double AcceptedFactor = 1.2;
    private const double Growth = 1.25;
    private const double GrowthIfSlow = 2;
    private const double LowerRateFactor = 0.9;
    private const double SameShareFactor = 0.75;
    private const int MaxSameShare = 3;

    private static readonly TimeSpan s_firstWindow = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_burst = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan s_unlimitedFor = TimeSpan.FromSeconds(15);

    private TimeSpan _windowFrom;
    private TimeSpan _next;
    private TimeSpan _unlimitedUntil;
    private TimeSpan _latencies;
    private int _good;
    private int _throttled;
    private double _sentRateBefore;
    private double _shareBefore;
    private int _sameShare;

    /// <summary>The most requests per second; null if there is no known limit.</summary>
    public double? PerSecond { get; private set; }

    /// <summary>The most lines in flight that this rate needs; null if there is no known limit.</summary>
    public int? InFlight { get; private set; }

    /// <summary>How long to wait before the next request.</summary>
    public TimeSpan Wait(TimeSpan now) => PerSecond is not null && _next > now ? _next - now : TimeSpan.Zero;

    /// <summary>Call this for each request.</summary>
    public void Started(TimeSpan now)
    {
        if (PerSecond is { } rate)
        {
            _next = (_next > now - s_burst ? _next : now - s_burst) + TimeSpan.FromSeconds(1 / rate);
        }
    }

    /// <summary>Call this for each response that shows whether the upstream accepts requests at this rate.</summary>
    /// <param name="wasThrottled">Whether it was a 429, or a 503 among successes.</param>
    /// <param name="latency">How long it took.</param>
    /// <param name="now">The time.</param>
    public void Ended(bool wasThrottled, TimeSpan latency, TimeSpan now)
    {
        _good += wasThrottled ? 0 : 1;
        _throttled += wasThrottled ? 1 : 0;
        _latencies += wasThrottled ? TimeSpan.Zero : latency;
        TimeSpan window = now - _windowFrom;
        // At a low rate, twenty answers take minutes: an outage of 429 alone may have taught it, and be over.
        int min = PerSecond is { } rate ? Math.Clamp((int)rate, MinMeasuredIfSlow, MinMeasured) : MinMeasured;
        if (_good + _throttled >= min && window >= (PerSecond is null ? s_firstWindow : s_window))
        {
            Learn(window, now);
            (_windowFrom, _good, _throttled, _latencies) = (now, 0, 0, TimeSpan.Zero);
        }
    }

    /// <summary>Starts a new window, because nothing was sent for a while.</summary>
    public void Restart(TimeSpan now) => (_windowFrom, _good, _throttled, _latencies) = (now, 0, 0, TimeSpan.Zero);

    private void Learn(TimeSpan window, TimeSpan now)
    {
        double share = (double)_throttled / (_good + _throttled);
        double goodRate = _good / window.TotalSeconds;
        double sentRate = (_good + _throttled) / window.TotalSeconds;
        if (share <= LowShare)
        {
            double growth = PerSecond < MinMeasured && _throttled == 0 ? GrowthIfSlow : Growth;
            PerSecond = PerSecond * growth is { } more && more < 4 * sentRate ? more : null;
            InFlight = PerSecond is null ? null : (int)Math.Ceiling(InFlight!.Value * growth);
        }
        else if (share > HighShare && _throttled >= MinThrottled && _good > 0 && now >= _unlimitedUntil)
        {
            // The burst at the start of a quota looks the same, but only once or twice.
            _sameShare = sentRate < LowerRateFactor * _sentRateBefore && share > SameShareFactor * _shareBefore ? _sameShare + 1 : 0;
            if (_sameShare >= MaxSameShare)
            {
                _sameShare = 0;
                (PerSecond, InFlight, _sentRateBefore) = (null, null, 0);
                _unlimitedUntil = now + s_unlimitedFor;
                return;
            }

            PerSecond = goodRate * AcceptedFactor;
            InFlight = 1 + (int)Math.Ceiling(2 * PerSecond.Value * (_latencies.TotalSeconds / _good));
            (_sentRateBefore, _shareBefore) = PerSecond < LowerRateFactor * sentRate ? (sentRate, share) : (0, 0);
        }
    }
}
