namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Why there is no complete response.</summary>
internal enum UpstreamFault
{
    /// <summary>There was no connection, so nothing was sent.</summary>
    Unreachable,

    /// <summary>The connection closed, or the upstream stopped sending.</summary>
    Broken,

    /// <summary>The response is too large.</summary>
    TooLarge,

    /// <summary>The upstream redirects.</summary>
    Redirect,
}
