namespace InferenceBatch.Model;

/// <summary>What a model's tokens cost, per million, in whatever currency the person counts; null where not known.</summary>
/// <param name="Input">A million input tokens.</param>
/// <param name="Output">A million output tokens.</param>
public readonly record struct ModelPrice(decimal? Input, decimal? Output)
{
    private const decimal PerTokens = 1_000_000m;

    /// <summary>The cost of so many tokens; null where there are tokens of a kind whose price is not known.</summary>
    public decimal? CostOf(long inputTokens, long outputTokens) =>
        (inputTokens == 0 ? 0 : Input * inputTokens / PerTokens) + (outputTokens == 0 ? 0 : Output * outputTokens / PerTokens);
}
