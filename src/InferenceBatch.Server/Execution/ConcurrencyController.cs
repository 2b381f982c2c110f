namespace InferenceBatch.Server.Execution;

/// <summary>
/// How many lines may be in flight at an upstream. Additive increase, multiplicative decrease, as TCP does it
/// (RFC 5681): starts at 16, doubles each round trip until the first strain, then adds one a round trip; a strain halves
/// it, at most once a round trip.
/// </summary>
/// <remarks>Not safe for several threads: the dispatcher's lock guards it.</remarks>
internal sealed class ConcurrencyController
{
    /// <summary>The cap where nobody set one: more connections than this to one upstream help no more.</summary>
    public const int DefaultCap = 256;

    private const int FirstLimit = 16;

    private readonly int _cap;
    private double _limit;
    private bool _isProbing;
    private long _started;
    private long _startedAtLastHalving;

    /// <param name="concurrency">Said by a person: begins there, and never goes above it. Null to find it out.</param>
    public ConcurrencyController(int? concurrency)
    {
        _cap = concurrency ?? DefaultCap;
        _limit = concurrency ?? FirstLimit;
        _isProbing = concurrency is null;
    }

    /// <summary>Lines that may be in flight now; at least 1.</summary>
    public int Limit => (int)_limit;

    /// <summary>Called when a line is sent; gives the ticket that <see cref="Ended"/> wants.</summary>
    public long Started() => ++_started;

    /// <summary>Called when a line's attempt has ended.</summary>
    /// <param name="ticket">From <see cref="Started"/>.</param>
    /// <param name="wasStrained">Whether it was a 429, a 5xx or a timeout.</param>
    /// <param name="wasFull">Whether the limit was in use: only then a good answer says that more would do.</param>
    public void Ended(long ticket, bool wasStrained, bool wasFull)
    {
        if (wasStrained)
        {
            _isProbing = false;
            if (ticket > _startedAtLastHalving)
            {
                _limit = Math.Max(1, _limit / 2);
                _startedAtLastHalving = _started;
            }
        }
        else if (wasFull)
        {
            _limit = Math.Min(_cap, _limit + (_isProbing ? 1 : 1 / _limit));
        }
    }
}
