using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// The estimated tokens and cost of a batch file before it is sent, as a low and a high value. A high value that cannot be
/// known is null. <see cref="FileMeasure"/> describes the estimate.
/// </summary>
public sealed class BatchFileMeasure
{
    public string? Path { get; init; }

    public int RequestCount { get; init; }

    public long Bytes { get; init; }

    /// <summary>The models of the requests in order of appearance, 100 at most.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    public long InputTokensLow { get; init; }

    /// <summary>Null if a request has content whose tokens cannot be estimated from text; see <see cref="RequestsWithMedia"/>.</summary>
    public long? InputTokensHigh { get; init; }

    /// <summary>One token per answer; 0 for endpoints that do not return text, such as embeddings.</summary>
    public long OutputTokensLow { get; init; }

    /// <summary>The sum of the requests' limits; null if a request has no limit and -MaxTokens was not given.</summary>
    public long? OutputTokensHigh { get; init; }

    /// <summary>In the currency of the prices; null if a price is not known.</summary>
    public decimal? CostLow { get; init; }

    /// <summary>In the currency of the prices; null if a price or a high value is not known.</summary>
    public decimal? CostHigh { get; init; }

    /// <summary>Requests with images, audio, files or an earlier conversation. Only the service can count these tokens; the low values do not include them.</summary>
    public int RequestsWithMedia { get; init; }

    /// <summary>Requests whose body has neither <c>max_tokens</c> nor <c>max_completion_tokens</c> nor <c>max_output_tokens</c>.</summary>
    public int RequestsWithoutLimit { get; init; }

    /// <summary>Lines that are not valid requests and are not part of the estimate. Test-BatchFile lists the reasons.</summary>
    public int UnreadableLines { get; init; }

    /// <summary>The models without a price, 100 at most.</summary>
    public IReadOnlyList<string> UnpricedModels { get; init; } = [];

    public override string ToString() => PluralFormat.Invariant($"{Path}: {RequestCount} {RequestCount:request|requests}, {InputTokensLow} to {InputTokensHigh?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "?"} tokens in");
}
