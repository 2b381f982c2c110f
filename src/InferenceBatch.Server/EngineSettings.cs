namespace InferenceBatch.Server;

/// <summary>How lines are run.</summary>
internal sealed record EngineSettings
{
    /// <summary>The most lines in flight at once; null to find it out.</summary>
    public int? Concurrency { get; init; }

    /// <summary>How often a line is sent at most.</summary>
    public int MaxAttempts { get; init; } = 5;

    /// <summary>Whether a run ends when its upstream has been away for <see cref="Dispatch.Upstreams.UpstreamWatch.Patience"/>; else its lines wait as long as it lasts.</summary>
    public bool GivesUpOnUpstream { get; init; }

    /// <summary>How long one attempt may take, its answer's last byte included.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the API's "24h" lasts.</summary>
    public TimeSpan CompletionWindow { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How long lines in flight may go on after a cancel.</summary>
    public TimeSpan CancelGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long lines in flight may go on after a stop of the service.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests in one input file, at most.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>Bytes in one input file, at most.</summary>
    public long MaxFileBytes { get; init; } = 200L * 1024 * 1024;
}
