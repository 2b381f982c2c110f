namespace InferenceBatch.Model;

/// <summary>Tokens a batch used, as the service reported them; a figure the service did not give is null.</summary>
public sealed record TokenUsage
{
    public long? InputTokens { get; init; }

    public long? CachedTokens { get; init; }

    public long? OutputTokens { get; init; }

    public long? ReasoningTokens { get; init; }

    public long? TotalTokens { get; init; }

    public override string ToString() => $"{InputTokens} in, {OutputTokens} out";
}
