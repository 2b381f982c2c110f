using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>Writes the API's objects in the format of OpenAI's documentation: all fields are present, missing values are null, times are in seconds.</summary>
public static class WireWriter
{
    /// <summary>Writes the batch object.</summary>
    public static void WriteBatch(Utf8JsonWriter json, Batch batch)
    {
        json.WriteStartObject();
        json.WriteString("id", batch.Id);
        json.WriteString("object", "batch");
        json.WriteString("endpoint", batch.Endpoint);
        json.WriteString("model", batch.Model);
        WriteErrors(json, batch.Errors);
        json.WriteString("input_file_id", batch.InputFileId);
        json.WriteString("completion_window", batch.CompletionWindow);
        json.WriteString("status", StatusWords.Write(batch.Status));
        json.WriteString("output_file_id", batch.OutputFileId);
        json.WriteString("error_file_id", batch.ErrorFileId);
        WriteTime(json, "created_at", batch.CreatedAt);
        WriteTime(json, "in_progress_at", batch.InProgressAt);
        WriteTime(json, "expires_at", batch.ExpiresAt);
        WriteTime(json, "finalizing_at", batch.FinalizingAt);
        WriteTime(json, "completed_at", batch.CompletedAt);
        WriteTime(json, "failed_at", batch.FailedAt);
        WriteTime(json, "expired_at", batch.ExpiredAt);
        WriteTime(json, "cancelling_at", batch.CancellingAt);
        WriteTime(json, "cancelled_at", batch.CancelledAt);
        json.WriteStartObject("request_counts");
        json.WriteNumber("total", batch.RequestCounts.Total);
        json.WriteNumber("completed", batch.RequestCounts.Completed);
        json.WriteNumber("failed", batch.RequestCounts.Failed);
        json.WriteEndObject();
        WriteUsage(json, batch.Usage);
        WriteMetadata(json, batch.Metadata);
        json.WriteEndObject();
    }

    /// <summary>Writes the file object.</summary>
    public static void WriteFile(Utf8JsonWriter json, BatchFile file)
    {
        json.WriteStartObject();
        json.WriteString("id", file.Id);
        json.WriteString("object", "file");
        json.WriteNumber("bytes", file.Bytes ?? 0);
        WriteTime(json, "created_at", file.CreatedAt);
        WriteTime(json, "expires_at", file.ExpiresAt);
        json.WriteString("filename", file.FileName);
        json.WriteString("purpose", file.Purpose);
        json.WriteString("status", file.Status);
        json.WriteEndObject();
    }

    /// <summary>Writes the error object <c>{"error":{"message","type","param","code"}}</c>.</summary>
    public static void WriteError(Utf8JsonWriter json, string message, string type, string? param, string? code)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteString("type", type);
        json.WriteString("param", param);
        json.WriteString("code", code);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Writes one page of a list.</summary>
    public static void WritePage<T>(
        Utf8JsonWriter json, IReadOnlyList<T> items, bool hasMore, Func<T, string> idOf, Action<Utf8JsonWriter, T> writeItem)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (T item in items)
        {
            writeItem(json, item);
        }

        json.WriteEndArray();
        json.WriteString("first_id", items.Count > 0 ? idOf(items[0]) : null);
        json.WriteString("last_id", items.Count > 0 ? idOf(items[^1]) : null);
        json.WriteBoolean("has_more", hasMore);
        json.WriteEndObject();
    }

    private static void WriteErrors(Utf8JsonWriter json, IReadOnlyList<ServiceError> errors)
    {
        if (errors.Count == 0)
        {
            json.WriteNull("errors");
            return;
        }

        json.WriteStartObject("errors");
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (ServiceError error in errors)
        {
            json.WriteStartObject();
            json.WriteString("code", error.Code);
            json.WriteString("message", error.Message);
            json.WriteString("param", error.Param);
            WriteNumber(json, "line", error.Line);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, TokenUsage? usage)
    {
        if (usage is null)
        {
            json.WriteNull("usage");
            return;
        }

        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", usage.InputTokens ?? 0);
        json.WriteStartObject("input_tokens_details");
        json.WriteNumber("cached_tokens", usage.CachedTokens ?? 0);
        json.WriteEndObject();
        json.WriteNumber("output_tokens", usage.OutputTokens ?? 0);
        json.WriteStartObject("output_tokens_details");
        json.WriteNumber("reasoning_tokens", usage.ReasoningTokens ?? 0);
        json.WriteEndObject();
        json.WriteNumber("total_tokens", usage.TotalTokens ?? 0);
        json.WriteEndObject();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        if (metadata.Count == 0)
        {
            json.WriteNull("metadata");
            return;
        }

        json.WriteStartObject("metadata");
        foreach ((string key, string value) in metadata)
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, DateTimeOffset? time) => WriteNumber(json, name, time?.ToUnixTimeSeconds());

    private static void WriteNumber(Utf8JsonWriter json, string name, long? number)
    {
        if (number is { } value)
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
