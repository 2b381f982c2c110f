namespace InferenceBatch.Server.Api;

/// <summary>
/// What callers may take of the service's connections. One that dawdles is cut off, so that no crowd of half-sent
/// requests ("slow loris") can keep others out.
/// </summary>
internal sealed record ConnectionLimits
{
    /// <summary>Connections at once; one more is closed unanswered.</summary>
    public int MaxConnections { get; init; } = 500;

    /// <summary>How long a request's head may take to arrive.</summary>
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a connection may stand between two requests.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Bytes a second that a body must keep up.</summary>
    public double MinBytesPerSecond { get; init; } = 240;

    /// <summary>
    /// Bytes a second that the reading of an answer must keep up. Time is granted for each chunk that is written, 128 kB:
    /// so a reader that stops is cut off after some two minutes.
    /// </summary>
    public double MinReadBytesPerSecond { get; init; } = 1024;

    /// <summary>How long it may be slower.</summary>
    public TimeSpan SlowGrace { get; init; } = TimeSpan.FromSeconds(10);
}
