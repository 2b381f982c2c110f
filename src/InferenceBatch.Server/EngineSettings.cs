namespace InferenceBatch.Server;

/// <summary>How lines are processed.</summary>
internal sealed record EngineSettings
{
    /// <summary>The most lines in flight; null to find the best number.</summary>
    public int? Concurrency { get; init; }

    /// <summary>How often a line is sent at most. Only attempts that count (<see cref="Dispatch.Upstreams.LineJudge"/>) use it up.</summary>
    public int MaxAttempts { get; init; } = 5;

    /// <summary>Whether a run ends if its upstream is unavailable for <see cref="Dispatch.Upstreams.UpstreamWatch.MaxHold"/>. Otherwise its lines wait without a limit.</summary>
    public bool GivesUpOnUpstream { get; init; }

    /// <summary>How long an attempt may take, until the last byte of its response.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The length of the completion window "24h" of the API.</summary>
    public TimeSpan CompletionWindow { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How long lines in flight may continue after a cancel.</summary>
    public TimeSpan CancelGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long lines in flight may continue when the service stops.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The most requests in an input file.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>The most bytes in an input file.</summary>
    public long MaxFileBytes { get; init; } = 200L * 1024 * 1024;
}
