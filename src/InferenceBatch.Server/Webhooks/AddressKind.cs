namespace InferenceBatch.Server.Webhooks;

/// <summary>The kinds of IP addresses, by whether webhooks may go there.</summary>
internal enum AddressKind
{
    /// <summary>A host on the public internet.</summary>
    Public,

    /// <summary>This machine or a private network; only allowed by an option.</summary>
    Internal,

    /// <summary>Never allowed: link-local, metadata services, multicast, unspecified and reserved addresses.</summary>
    Forbidden,
}
