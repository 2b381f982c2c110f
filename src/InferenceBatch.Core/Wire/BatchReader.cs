using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// Reads the batch object of OpenAI's documentation, and the variants of other services: wrapped in <c>{"job":…}</c>,
/// statuses in capitals, times in milliseconds or ISO 8601, incomplete counts or a percentage, and "" for a missing ID.
/// </summary>
public static class BatchReader
{
    /// <summary>Reads one batch.</summary>
    /// <exception cref="JsonException">Not JSON, or an object without an ID.</exception>
    public static Batch Read(ReadOnlyMemory<byte> json)
    {
        using JsonDocument document = BrokenText.Parse(json);
        return Read(document.RootElement);
    }

    /// <inheritdoc cref="Read(ReadOnlyMemory{byte})"/>
    public static Batch Read(JsonElement element)
    {
        JsonElement batch = element.Field("job") is { ValueKind: JsonValueKind.Object } job ? job : element;
        string raw = SecretMask.Of(batch.Field("status").Name()) ?? "";
        return new Batch
        {
            Id = batch.Field("id", "batch_id").Name() ?? throw new JsonException("The response is not a batch object: it has no 'id'."),
            Status = StatusWords.Read(raw),
            RawStatus = raw,
            Endpoint = batch.Field("endpoint").Name(),
            Model = batch.Field("model", "model_id").Name(),
            InputFileId = batch.Field("input_file_id").Name(),
            OutputFileId = batch.Field("output_file_id").Name(),
            ErrorFileId = batch.Field("error_file_id").Name(),
            CompletionWindow = batch.Field("completion_window").Name(),
            RequestCounts = ReadCounts(batch),
            Errors = ErrorReader.ReadList(batch.Field("errors", "error")),
            CreatedAt = batch.Field("created_at").Time(),
            InProgressAt = batch.Field("in_progress_at").Time(),
            ExpiresAt = batch.Field("expires_at", "job_deadline").Time(),
            FinalizingAt = batch.Field("finalizing_at").Time(),
            CompletedAt = batch.Field("completed_at").Time(),
            FailedAt = batch.Field("failed_at").Time(),
            ExpiredAt = batch.Field("expired_at").Time(),
            CancellingAt = batch.Field("cancelling_at").Time(),
            CancelledAt = batch.Field("cancelled_at").Time(),
            Metadata = ReadMetadata(batch.Field("metadata")),
            Usage = ReadUsage(batch.Field("usage")),
            Json = SecretMask.OfJson(element.GetRawText()),
        };
    }

    private static RequestCounts ReadCounts(JsonElement batch)
    {
        if (batch.Field("request_counts") is { } counts)
        {
            return new RequestCounts(
                counts.Field("total").Integer() ?? 0, counts.Field("completed").Integer() ?? 0, counts.Field("failed").Integer() ?? 0);
        }

        // Together gives a percentage.
        JsonElement? progress = batch.Field("progress");
        long? whole = progress.Integer() ?? (progress?.ValueKind == JsonValueKind.Number ? (long)Math.Clamp(progress.Value.GetDouble(), 0, 100) : null);
        return whole is { } percent ? new RequestCounts(100, Math.Clamp(percent, 0, 100), 0) : RequestCounts.None;
    }

    private static Dictionary<string, string> ReadMetadata(JsonElement? metadata)
    {
        var pairs = new Dictionary<string, string>();
        if (metadata?.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in metadata.Value.EnumerateObject())
            {
                pairs[BrokenText.ReadName(property)] = property.Value.ValueKind == JsonValueKind.String
                    ? BrokenText.ReadString(property.Value) : property.Value.GetRawText();
            }
        }

        return pairs;
    }

    private static TokenUsage? ReadUsage(JsonElement? usage) => usage is not { ValueKind: JsonValueKind.Object } some ? null : new TokenUsage
    {
        InputTokens = some.Field("input_tokens", "prompt_tokens").Integer(),
        CachedTokens = some.Field("input_tokens_details")?.Field("cached_tokens").Integer(),
        OutputTokens = some.Field("output_tokens", "completion_tokens").Integer(),
        ReasoningTokens = some.Field("output_tokens_details")?.Field("reasoning_tokens").Integer(),
        TotalTokens = some.Field("total_tokens").Integer(),
    };
}
