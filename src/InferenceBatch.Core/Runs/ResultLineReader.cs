using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>
/// Reads one line of an output or error file into a <see cref="BatchResult"/>, in one pass. Tolerates what services do:
/// failures in the output file, <c>error</c> absent or null, a body that is a string holding JSON, a status of 0 or none.
/// </summary>
public static class ResultLineReader
{
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = RequestLine.MaxDepth };

    /// <summary>Reads one line.</summary>
    /// <param name="line">The line's bytes; copied.</param>
    /// <param name="batchId">Put into the result.</param>
    /// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
    /// <exception cref="JsonException">Not a JSON object.</exception>
    public static BatchResult Read(ReadOnlySpan<byte> line, string? batchId = null, Func<string, object?>? valueReader = null) =>
        Read(line.ToArray(), batchId, valueReader);

    /// <summary>Reads one line whose bytes the result may keep.</summary>
    /// <inheritdoc cref="Read(ReadOnlySpan{byte}, string?, Func{string, object?}?)"/>
    internal static BatchResult Read(byte[] kept, string? batchId, Func<string, object?>? valueReader)
    {
        ReadOnlySpan<byte> line = kept;
        var fields = new Fields();
        try
        {
            ReadLine(Utf8Check.IsValid(line) ? line : BrokenText.Repaired(line), ref fields);
        }
        catch (InvalidOperationException exception)
        {
            throw new JsonException("The line holds a name with half a surrogate pair.", exception);
        }

        ServiceError? error = ErrorOf(in fields);
        return new BatchResult
        {
            CustomId = fields.CustomId ?? "",
            Status = StatusOf(error),
            StatusCode = fields.StatusCode,
            Text = fields.Text ?? (error is null ? fields.PlainBody : null),
            FinishReason = fields.FinishReason,
            PromptTokens = fields.PromptTokens,
            CompletionTokens = fields.CompletionTokens,
            TotalTokens = fields.TotalTokens ?? fields.PromptTokens + fields.CompletionTokens,
            Error = error,
            BatchId = batchId,
            JsonUtf8 = kept,
            ValueReader = valueReader,
        };
    }

    private static void ReadLine(ReadOnlySpan<byte> line, ref Fields fields)
    {
        var reader = new Utf8JsonReader(line, s_options);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("The line is not a JSON object.");
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("custom_id"u8))
            {
                fields.CustomId = ReadText(ref reader);
            }
            else if (reader.ValueTextEquals("response"u8))
            {
                ReadResponse(ref reader, ref fields);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                fields.LineError = ReadError(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        reader.Read(); // Anything after the object throws.
    }

    /// <summary>What went wrong, the line's own error before that of the answer's body; null for a success.</summary>
    private static ServiceError? ErrorOf(in Fields fields)
    {
        if ((fields.LineError ?? fields.BodyError) is { } error)
        {
            return error;
        }

        return fields.StatusCode switch
        {
            >= 200 and <= 299 => null,
            null when fields.HasBody => null,
            null => new ServiceError("no_response", "The line holds neither an answer nor an error."),
            { } code => new ServiceError(
                $"http_{code}", ErrorReader.Shorten(fields.PlainBody ?? fields.BodyMessage ?? $"The request was answered with status {code}.")),
        };
    }

    private static ResultStatus StatusOf(ServiceError? error) => error?.Code switch
    {
        null => ResultStatus.Succeeded,
        "batch_expired" => ResultStatus.Expired,
        "batch_cancelled" or "batch_canceled" => ResultStatus.Cancelled,
        _ => ResultStatus.Failed,
    };

    private static void ReadResponse(ref Utf8JsonReader reader, ref Fields fields)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("status_code"u8))
            {
                fields.StatusCode = ReadWhole(ref reader) is >= 0 and <= 999 and { } code ? (int)code : null;
            }
            else if (reader.ValueTextEquals("body"u8))
            {
                reader.Read();
                ReadBody(ref reader, ref fields);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadBody(ref Utf8JsonReader reader, ref Fields fields)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            ReadStringBody(BrokenText.ReadString(ref reader), ref fields);
            return;
        }

        if (reader.TokenType != JsonTokenType.StartObject)
        {
            fields.HasBody |= reader.TokenType != JsonTokenType.Null;
            reader.Skip();
            return;
        }

        fields.HasBody = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                reader.Read();
                ReadFirst(ref reader, ref fields, ReadChoice);
            }
            else if (reader.ValueTextEquals("output"u8))
            {
                reader.Read();
                ReadEach(ref reader, ref fields, ReadOutputItem);
            }
            else if (reader.ValueTextEquals("usage"u8))
            {
                reader.Read();
                ReadUsage(ref reader, ref fields);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                fields.BodyError = ReadError(ref reader);
            }
            else if (reader.ValueTextEquals("status"u8))
            {
                // /v1/responses says here how the answer ended: completed, incomplete …
                string? ending = ReadText(ref reader);
                fields.FinishReason ??= ending;
            }
            else if (reader.ValueTextEquals("message"u8))
            {
                fields.BodyMessage = ReadText(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadStringBody(string text, ref Fields fields)
    {
        fields.HasBody = text.Length > 0;
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text), s_options);
            reader.Read();
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                ReadBody(ref reader, ref fields);
                return;
            }
        }
        catch (JsonException)
        {
            // Plain text, then.
        }

        fields.PlainBody = text;
    }

    private static void ReadChoice(ref Utf8JsonReader reader, ref Fields fields)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("message"u8))
            {
                reader.Read();
                ReadMessage(ref reader, ref fields);
            }
            else if (reader.ValueTextEquals("text"u8))
            {
                fields.Text = ReadText(ref reader);
            }
            else if (reader.ValueTextEquals("finish_reason"u8))
            {
                fields.FinishReason = ReadText(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadMessage(ref Utf8JsonReader reader, ref Fields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isContent = reader.ValueTextEquals("content"u8);
            reader.Read();
            if (isContent && reader.TokenType == JsonTokenType.String)
            {
                fields.Text = BrokenText.ReadString(ref reader);
            }
            else if (isContent && reader.TokenType == JsonTokenType.StartArray)
            {
                ReadEach(ref reader, ref fields, ReadPart);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>An item of /v1/responses' <c>output</c>: only those with content hold text.</summary>
    private static void ReadOutputItem(ref Utf8JsonReader reader, ref Fields fields)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isContent = reader.ValueTextEquals("content"u8);
            reader.Read();
            if (isContent)
            {
                ReadEach(ref reader, ref fields, ReadPart);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>A part of a content array: <c>{"type":"output_text" or "text","text":…}</c>.</summary>
    private static void ReadPart(ref Utf8JsonReader reader, ref Fields fields)
    {
        bool isText = true;
        string? text = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                isText = reader.TokenType == JsonTokenType.String && (reader.ValueTextEquals("output_text"u8) || reader.ValueTextEquals("text"u8));
            }
            else if (reader.ValueTextEquals("text"u8))
            {
                text = ReadText(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        fields.Text = isText && text is not null ? fields.Text + text : fields.Text;
    }

    private static void ReadUsage(ref Utf8JsonReader reader, ref Fields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("prompt_tokens"u8) || reader.ValueTextEquals("input_tokens"u8))
            {
                fields.PromptTokens = ReadWhole(ref reader);
            }
            else if (reader.ValueTextEquals("completion_tokens"u8) || reader.ValueTextEquals("output_tokens"u8))
            {
                fields.CompletionTokens = ReadWhole(ref reader);
            }
            else if (reader.ValueTextEquals("total_tokens"u8))
            {
                fields.TotalTokens = ReadWhole(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static ServiceError? ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        return ErrorReader.Read(document.RootElement);
    }

    private static void ReadFirst(ref Utf8JsonReader reader, ref Fields fields, ItemReader read)
    {
        bool first = true;
        ReadEach(ref reader, ref fields, (ref Utf8JsonReader item, ref Fields into) =>
        {
            if (first)
            {
                first = false;
                read(ref item, ref into);
            }
            else
            {
                item.Skip();
            }
        });
    }

    private static void ReadEach(ref Utf8JsonReader reader, ref Fields fields, ItemReader read)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                read(ref reader, ref fields);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static string? ReadText(ref Utf8JsonReader reader)
    {
        reader.Read();
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                return BrokenText.ReadString(ref reader);
            case JsonTokenType.Number:
                return Encoding.UTF8.GetString(reader.ValueSpan);
            default:
                reader.Skip();
                return null;
        }
    }

    private static long? ReadWhole(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long whole))
        {
            return whole;
        }

        if (reader.TokenType == JsonTokenType.String && long.TryParse(reader.ValueSpan, out whole))
        {
            return whole;
        }

        reader.Skip();
        return null;
    }

    private delegate void ItemReader(ref Utf8JsonReader reader, ref Fields fields);

    private struct Fields
    {
        public string? CustomId;
        public int? StatusCode;
        public bool HasBody;
        public string? Text;
        public string? FinishReason;
        public long? PromptTokens;
        public long? CompletionTokens;
        public long? TotalTokens;
        public string? PlainBody;
        public string? BodyMessage;
        public ServiceError? BodyError;
        public ServiceError? LineError;
    }
}
