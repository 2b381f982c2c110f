namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Why there is no whole answer.</summary>
internal enum UpstreamFault
{
    /// <summary>No connection could be made: it was sent nothing.</summary>
    Unreachable,

    /// <summary>The connection broke, or what came stopped coming.</summary>
    Broken,

    /// <summary>The answer is larger than can be kept.</summary>
    TooLarge,

    /// <summary>It sends callers elsewhere.</summary>
    Redirect,
}
