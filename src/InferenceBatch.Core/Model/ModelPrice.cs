namespace InferenceBatch.Model;

/// <summary>The prices of a model per million tokens, in the currency of the user; null if not known.</summary>
/// <param name="Input">The price of a million input tokens.</param>
/// <param name="Output">The price of a million output tokens.</param>
public readonly record struct ModelPrice(decimal? Input, decimal? Output)
{
    private const decimal PerTokens = 1_000_000m;

    /// <summary>Returns the cost of tokens; null if the price of input or output is needed and not known.</summary>
    public decimal? CostOf(long inputTokens, long outputTokens) =>
        (inputTokens == 0 ? 0 : Input * inputTokens / PerTokens) + (outputTokens == 0 ? 0 : Output * outputTokens / PerTokens);
}
