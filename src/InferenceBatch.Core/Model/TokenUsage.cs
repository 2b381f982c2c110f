namespace InferenceBatch.Model;

/// <summary>The tokens of a batch according to the service; a number that the service does not report is null.</summary>
public sealed record TokenUsage
{
    public long? InputTokens { get; init; }

    public long? CachedTokens { get; init; }

    public long? OutputTokens { get; init; }

    public long? ReasoningTokens { get; init; }

    public long? TotalTokens { get; init; }

    public override string ToString() => $"{InputTokens} in, {OutputTokens} out";
}
