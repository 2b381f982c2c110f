namespace InferenceBatch.Bench;

/// <summary>What a <see cref="FaultyUpstream"/> does to requests.</summary>
internal enum UpstreamTrouble
{
    /// <summary>It answers all of them.</summary>
    None,

    /// <summary>A share of the lines gets 500 once, and an answer when it is sent again.</summary>
    FailsOnce,

    /// <summary>A share of the lines gets 500 each time.</summary>
    FailsAlways,

    /// <summary>A share of the requests, at random, gets 429 without Retry-After.</summary>
    Limited,

    /// <summary>A share of the requests, at random, gets 429 with <c>Retry-After: 1</c>.</summary>
    LimitedWithRetryAfter,

    /// <summary>So many requests per second are accepted; the rest gets 429 without Retry-After.</summary>
    Quota,

    /// <summary>So many requests per second are accepted; the rest gets 429 with <c>Retry-After: 1</c>.</summary>
    QuotaWithRetryAfter,

    /// <summary>So many requests are worked on at a time; the rest waits in a queue without bounds, as in llama-server.</summary>
    Slots,
}
