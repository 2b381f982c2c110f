namespace InferenceBatch.Runs;

/// <summary>How a <see cref="RunEngine"/> goes about a run.</summary>
public sealed record RunOptions
{
    /// <summary>What <see cref="MaxAttempts"/> is unless it is set.</summary>
    public const int DefaultMaxAttempts = 3;

    /// <summary>How often a request is sent in all.</summary>
    public int MaxAttempts { get; init; } = DefaultMaxAttempts;

    /// <summary>Whether results come in the order of the requests, at the end, instead of as they come.</summary>
    public bool Ordered { get; init; }

    /// <summary>
    /// How long the batches of one attempt may take, room for them in the service's queue included, and how long the
    /// service may be out of reach while they are sent; null for as long as it takes.
    /// </summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether requests that failed for good in an earlier process are sent again.</summary>
    public bool RetryFailed { get; init; }

    /// <summary>How many requests may fail before the run stops early; null for any number.</summary>
    public FailureLimit? MaxFailed { get; init; }

    public string CompletionWindow { get; init; } = "24h";

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>See <see cref="Model.BatchResult.ValueReader"/>.</summary>
    public Func<string, object?>? ValueReader { get; init; }
}
