namespace InferenceBatch.Server.Api;

/// <summary>
/// The limits of connections. Slow callers are disconnected, so that many incomplete requests ("slow loris") cannot lock
/// out other callers.
/// </summary>
internal sealed record ConnectionLimits
{
    /// <summary>The maximum number of open connections. Further ones are closed without a response.</summary>
    public int MaxConnections { get; init; } = 500;

    /// <summary>The time limit for receiving the request line and headers.</summary>
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a connection may be idle between two requests.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>The minimum rate at which a request body must arrive, in bytes per second.</summary>
    public double MinBytesPerSecond { get; init; } = 240;

    /// <summary>
    /// The minimum rate at which a caller must read a response, in bytes per second. The time for each written chunk of
    /// 128 kB is granted in full, so a caller that stops reading is disconnected after about two minutes.
    /// </summary>
    public double MinReadBytesPerSecond { get; init; } = 1024;

    /// <summary>How long a caller may be slower than these rates.</summary>
    public TimeSpan SlowGrace { get; init; } = TimeSpan.FromSeconds(10);
}
