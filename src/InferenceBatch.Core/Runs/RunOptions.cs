namespace InferenceBatch.Runs;

/// <summary>The options of a <see cref="RunEngine"/>.</summary>
public sealed record RunOptions
{
    /// <summary>The default of <see cref="MaxAttempts"/>.</summary>
    public const int DefaultMaxAttempts = 3;

    /// <summary>How often a request is sent, including the first time.</summary>
    public int MaxAttempts { get; init; } = DefaultMaxAttempts;

    /// <summary>Whether all results are returned at the end, in the order of the requests, instead of as they come.</summary>
    public bool Ordered { get; init; }

    /// <summary>
    /// The timeout for the batches of one attempt, including the wait for room in the service's queue, and for an outage of the
    /// service while they are sent; null for none.
    /// </summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether to retry requests whose failure was final in an earlier process.</summary>
    public bool RetryFailed { get; init; }

    /// <summary>The number of failed requests at which the run stops early; null for no limit.</summary>
    public FailureLimit? MaxFailed { get; init; }

    public string CompletionWindow { get; init; } = "24h";

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>See <see cref="Model.BatchResult.ValueReader"/>.</summary>
    public Func<string, object?>? ValueReader { get; init; }
}
