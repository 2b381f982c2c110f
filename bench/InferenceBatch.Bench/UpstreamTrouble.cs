namespace InferenceBatch.Bench;

/// <summary>The faults of a <see cref="FaultyUpstream"/>.</summary>
internal enum UpstreamTrouble
{
    /// <summary>All requests are answered.</summary>
    None,

    /// <summary>A share of the lines gets 500 once, and an answer when retried.</summary>
    FailsOnce,

    /// <summary>A share of the lines gets 500 each time.</summary>
    FailsAlways,

    /// <summary>A share of the requests, at random, gets 429 without Retry-After.</summary>
    Limited,

    /// <summary>A share of the requests, at random, gets 429 with <c>Retry-After: 1</c>.</summary>
    LimitedWithRetryAfter,

    /// <summary>At most so many requests per second are accepted; the rest gets 429 without Retry-After.</summary>
    Quota,

    /// <summary>At most so many requests per second are accepted; the rest gets 429 with <c>Retry-After: 1</c>.</summary>
    QuotaWithRetryAfter,

    /// <summary>So many requests are processed at a time; the rest waits in an unbounded queue, as in llama-server.</summary>
    Slots,
}
