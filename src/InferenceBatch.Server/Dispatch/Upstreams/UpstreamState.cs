namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How an upstream treats the lines it is sent.</summary>
internal enum UpstreamState
{
    /// <summary>It answers.</summary>
    Up,

    /// <summary>It answers some lines and throttles the others (429): fewer are sent, or none for a while.</summary>
    Limited,

    /// <summary>It takes no connection, breaks each one, or answers that it is unavailable (502, 503, 504): one line at a time probes it.</summary>
    Away,

    /// <summary>It refuses the key or the account (401, 402, 403, no quota left): one line at a time probes it.</summary>
    Refusing,
}
