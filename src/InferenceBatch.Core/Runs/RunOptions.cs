namespace InferenceBatch.Runs;

/// <summary>How a <see cref="RunEngine"/> goes about a run.</summary>
public sealed record RunOptions
{
    /// <summary>How often a request is sent in all.</summary>
    public int MaxAttempts { get; init; } = 3;

    /// <summary>Whether results come in the order of the requests, at the end, instead of as they come.</summary>
    public bool Ordered { get; init; }

    /// <summary>How long each wait for batches may take; null for as long as it takes.</summary>
    public TimeSpan? Timeout { get; init; }

    public string CompletionWindow { get; init; } = "24h";

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>See <see cref="Model.BatchResult.ValueReader"/>.</summary>
    public Func<string, object?>? ValueReader { get; init; }
}
