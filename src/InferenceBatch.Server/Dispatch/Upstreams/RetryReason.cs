namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Why a line was sent again, as statistics count it.</summary>
internal enum RetryReason
{
    /// <summary>429.</summary>
    RateLimit,

    /// <summary>5xx, 409, or a body that is no answer.</summary>
    ServerError,

    /// <summary>No whole answer in time, or 408.</summary>
    Timeout,

    /// <summary>No connection, or one that broke.</summary>
    Connection,

    /// <summary>401, 402, 403, or a quota that is used up.</summary>
    Refused,
}
