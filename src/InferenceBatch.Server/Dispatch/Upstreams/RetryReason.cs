namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Why a line was retried, as counted in the statistics.</summary>
internal enum RetryReason
{
    /// <summary>429.</summary>
    RateLimit,

    /// <summary>5xx, 409, or a body that is not an answer.</summary>
    ServerError,

    /// <summary>No complete response before the timeout, or 408.</summary>
    Timeout,

    /// <summary>No connection, or a connection that closed early.</summary>
    Connection,

    /// <summary>401, 402, 403, or an exhausted quota.</summary>
    Refused,
}
