namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How an upstream responds to lines.</summary>
internal enum UpstreamState
{
    /// <summary>It answers lines.</summary>
    Up,

    /// <summary>It answers some lines and throttles the others (429). Fewer lines are sent, or none for a while.</summary>
    Limited,

    /// <summary>It accepts no connection, closes each one, or responds that it is unavailable (502, 503, 504). One line at a time is sent as a probe.</summary>
    Away,

    /// <summary>It refuses the key or the account (401, 402, 403, no quota left). One line at a time is sent as a probe.</summary>
    Refusing,
}
