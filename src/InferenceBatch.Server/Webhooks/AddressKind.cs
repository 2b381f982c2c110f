namespace InferenceBatch.Server.Webhooks;

/// <summary>What kind of place an IP address is.</summary>
internal enum AddressKind
{
    /// <summary>A host of the public internet.</summary>
    Public,

    /// <summary>This machine, or one of a private network.</summary>
    Internal,

    /// <summary>No receiver at all: link-local and metadata services, multicast, unspecified, reserved.</summary>
    Never,
}
