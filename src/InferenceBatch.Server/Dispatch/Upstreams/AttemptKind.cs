namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What one attempt at a line says about the line and about the upstream.</summary>
internal enum AttemptKind
{
    /// <summary>The upstream processed the line: a success, or an error that is caused by the line.</summary>
    Answered,

    /// <summary>429: too many requests.</summary>
    Throttled,

    /// <summary>502, 503, 504 and similar: no server was available to process the line.</summary>
    Unavailable,

    /// <summary>There was no connection, so nothing was sent.</summary>
    Unreachable,

    /// <summary>The connection closed before the response was complete.</summary>
    Broken,

    /// <summary>The upstream refused the key or the account: 401, 402, 403, 407, or an exhausted quota.</summary>
    Refused,

    /// <summary>There was no complete response before the timeout, or 408.</summary>
    TimedOut,

    /// <summary>500 and similar, or a body that is not an answer: caused by the line, or temporary.</summary>
    Failed,
}
