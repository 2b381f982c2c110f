using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>The counts of a stream of results; created by <see cref="ResultMeasure"/>.</summary>
public sealed class BatchResultMeasure
{
    public long Count { get; init; }

    public long Succeeded { get; init; }

    public long Failed { get; init; }

    public long Expired { get; init; }

    public long Cancelled { get; init; }

    public long Missing { get; init; }

    /// <summary>Succeeded results that are not the expected JSON; see <see cref="Model.BatchResult.ValueError"/>.</summary>
    public long ValueErrors { get; init; }

    /// <summary>Failed results by code, the most frequent first; codes beyond the first 100 count as <c>other</c>.</summary>
    public IReadOnlyList<FailureCount> Failures { get; init; } = [];

    /// <summary>The models that answered; at most 100.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>The tokens that the service reported; null if no result reports any.</summary>
    public long? InputTokens { get; init; }

    /// <inheritdoc cref="InputTokens"/>
    public long? OutputTokens { get; init; }

    /// <inheritdoc cref="InputTokens"/>
    public long? TotalTokens { get; init; }

    /// <summary>Succeeded results that report no tokens. The sums do not include them.</summary>
    public long WithoutUsage { get; init; }

    /// <summary>The cost of the reported tokens, in the currency of the prices; null if no tokens were reported, or a price is unknown.</summary>
    public decimal? Cost { get; init; }

    /// <summary>The models without a price; at most 100.</summary>
    public IReadOnlyList<string> UnpricedModels { get; init; } = [];

    public override string ToString() => PluralFormat.Invariant($"{Succeeded} of {Count} succeeded, {TotalTokens ?? 0} {TotalTokens ?? 0:token|tokens}");
}
