namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What one attempt at a line says about the line and about the upstream.</summary>
internal enum AttemptKind
{
    /// <summary>The upstream dealt with the line: a success, or an error that is the line's own.</summary>
    Answered,

    /// <summary>429: too many requests at this moment.</summary>
    Throttled,

    /// <summary>502, 503, 504 and the like: nobody there to deal with it.</summary>
    Unavailable,

    /// <summary>No connection: nothing was sent.</summary>
    Unreachable,

    /// <summary>The connection broke before the answer was whole.</summary>
    Broken,

    /// <summary>The key or the account was refused: 401, 402, 403, 407, or a quota that is used up.</summary>
    Refused,

    /// <summary>No whole answer within the time limit, or 408.</summary>
    TimedOut,

    /// <summary>500 and the like, or a body that is no answer: the line's fault or a passing one.</summary>
    Failed,
}
