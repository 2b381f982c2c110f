using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// What a batch file would take and cost, estimated from its text before it is sent. Low and high bound what is likely;
/// a high that cannot be known is null. How: <see cref="FileMeasure"/>.
/// </summary>
public sealed class BatchFileMeasure
{
    public string? Path { get; init; }

    public int RequestCount { get; init; }

    public long Bytes { get; init; }

    /// <summary>The models the lines name, in order of appearance; the first 100.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    public long InputTokensLow { get; init; }

    /// <summary>Null when a line holds what text says nothing of; see <see cref="RequestsWithMedia"/>.</summary>
    public long? InputTokensHigh { get; init; }

    /// <summary>One token an answer; none where the endpoint answers with no text, such as embeddings.</summary>
    public long OutputTokensLow { get; init; }

    /// <summary>The sum of the lines' own limits; null when a line has none and no -MaxTokens was given.</summary>
    public long? OutputTokensHigh { get; init; }

    /// <summary>In the prices' currency; null when a price is not known.</summary>
    public decimal? CostLow { get; init; }

    /// <summary>Null when a price or a high is not known.</summary>
    public decimal? CostHigh { get; init; }

    /// <summary>Requests with images, audio, files or an earlier conversation: their tokens are the service's to count, and are not in the lows.</summary>
    public int RequestsWithMedia { get; init; }

    /// <summary>Requests whose body limits the answer by no <c>max_tokens</c>, <c>max_completion_tokens</c> or <c>max_output_tokens</c>.</summary>
    public int RequestsWithoutLimit { get; init; }

    /// <summary>Lines that are no requests, and count for nothing here; Test-BatchFile says why.</summary>
    public int UnreadableLines { get; init; }

    /// <summary>The models a price is missing for; the first 100.</summary>
    public IReadOnlyList<string> UnpricedModels { get; init; } = [];

    public override string ToString() => PluralFormat.Invariant($"{Path}: {RequestCount} {RequestCount:request|requests}, {InputTokensLow} to {InputTokensHigh?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "?"} tokens in");
}
