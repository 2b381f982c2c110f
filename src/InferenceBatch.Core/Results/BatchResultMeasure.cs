using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>What a stream of results adds up to; made by <see cref="ResultMeasure"/>.</summary>
public sealed class BatchResultMeasure
{
    public long Count { get; init; }

    public long Succeeded { get; init; }

    public long Failed { get; init; }

    public long Expired { get; init; }

    public long Cancelled { get; init; }

    public long Missing { get; init; }

    /// <summary>Succeeded results that are not the JSON they were to be; see <see cref="Model.BatchResult.ValueError"/>.</summary>
    public long ValueErrors { get; init; }

    /// <summary>Failed results by code, the most frequent first; codes beyond the first 100 count as <c>other</c>.</summary>
    public IReadOnlyList<FailureCount> Failures { get; init; } = [];

    /// <summary>The models that answered; the first 100.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>As the service reported them; null where no result told.</summary>
    public long? InputTokens { get; init; }

    /// <inheritdoc cref="InputTokens"/>
    public long? OutputTokens { get; init; }

    /// <inheritdoc cref="InputTokens"/>
    public long? TotalTokens { get; init; }

    /// <summary>Succeeded results that report no tokens: the sums are short of theirs.</summary>
    public long WithoutUsage { get; init; }

    /// <summary>In the prices' currency, of the tokens reported; null when none were, or a price is not known.</summary>
    public decimal? Cost { get; init; }

    /// <summary>The models a price is missing for; the first 100.</summary>
    public IReadOnlyList<string> UnpricedModels { get; init; } = [];

    public override string ToString() => PluralFormat.Invariant($"{Succeeded} of {Count} succeeded, {TotalTokens ?? 0} {TotalTokens ?? 0:token|tokens}");
}
