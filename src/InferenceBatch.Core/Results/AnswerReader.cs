using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>
/// Reads the response body of a line, for every endpoint: chat and text completions, <c>/v1/responses</c>, and endpoints
/// without text. Reads it in one pass, and copies only the fields of the result.
/// </summary>
internal static class AnswerReader
{
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = RequestLine.MaxDepth + 8 };

    // Most lines have the same model and finish reason as the line before, so they share the strings.
    [ThreadStatic]
    private static string? t_model;

    [ThreadStatic]
    private static string? t_finishReason;

    private delegate void ItemReader(ref Utf8JsonReader reader, ref ResultFields fields);

    /// <summary>Reads the body at the current token.</summary>
    /// <param name="reader">At the first token of the body.</param>
    /// <param name="source">The bytes of the reader.</param>
    /// <param name="fields">Receives the fields of the body.</param>
    public static void ReadBody(ref Utf8JsonReader reader, ReadOnlySpan<byte> source, ref ResultFields fields)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            ReadStringBody(BrokenText.ReadString(ref reader), ref fields);
            return;
        }

        int start = (int)reader.TokenStartIndex;
        fields.Check.Begin(reader.TokenType);
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            fields.HasBody = true;
            ReadObject(ref reader, ref fields);
        }
        else
        {
            fields.HasBody |= reader.TokenType != JsonTokenType.Null;
            reader.Skip();
        }

        fields.Body = (start, (int)reader.BytesConsumed - start);
        fields.Problem = fields.Check.Find(source.Slice(fields.Body.Start, fields.Body.Length), fields.Endpoint);
    }

    private static void ReadObject(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            fields.Check.Note(ref reader);
            if (reader.Is("choices"u8))
            {
                reader.Read();
                ReadFirst(ref reader, ref fields, ReadChoice);
            }
            else if (reader.Is("output"u8))
            {
                reader.Read();
                ReadEach(ref reader, ref fields, ReadOutputItem);
            }
            else if (reader.Is("usage"u8))
            {
                reader.Read();
                ReadUsage(ref reader, ref fields);
            }
            else if (reader.Is("status"u8))
            {
                // In /v1/responses, the status is the finish reason: completed, incomplete …
                string? status = JsonValues.ReadText(ref reader);
                fields.FinishReason ??= status;
            }
            else if (reader.Is("model"u8))
            {
                fields.Model = JsonValues.ReadName(ref reader, ref t_model);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadStringBody(string text, ref ResultFields fields)
    {
        fields.HasBody = text.Length > 0;
        try
        {
            byte[] json = Encoding.UTF8.GetBytes(text);
            var reader = new Utf8JsonReader(json, s_options);
            fields.IsOutsideLine = true;
            reader.Read();
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                fields.BodyJson = json;
                ReadBody(ref reader, json, ref fields);
                return;
            }
        }
        catch (JsonException)
        {
            // The body is plain text.
        }

        fields.PlainBody = text;
        fields.Problem = IsEmptyOrHtml(text)
            ? AnswerProblem.NoAnswer(text.Length == 0 ? AnswerCheck.Empty : ErrorReader.Shorten(text)) : null;
    }

    /// <summary>Whether a plain-text body is not an answer. Some endpoints answer with plain text, but an empty body or an HTML page comes from a proxy.</summary>
    private static bool IsEmptyOrHtml(string text)
    {
        ReadOnlySpan<char> start = text.AsSpan().TrimStart();
        return start.IsEmpty || start.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase) || start.StartsWith("<html", StringComparison.OrdinalIgnoreCase);
    }

    private static void ReadChoice(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            fields.Check.NoteChoice(ref reader);
            if (reader.Is("message"u8))
            {
                reader.Read();
                ReadMessage(ref reader, ref fields);
            }
            else if (reader.Is("text"u8))
            {
                reader.Read();
                TakeText(ref reader, ref fields);
            }
            else if (reader.Is("finish_reason"u8))
            {
                fields.FinishReason = JsonValues.ReadName(ref reader, ref t_finishReason);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadMessage(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isContent = reader.Is("content"u8);
            reader.Read();
            if (isContent && reader.TokenType == JsonTokenType.String)
            {
                TakeText(ref reader, ref fields);
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

    /// <summary>Takes the current value as the text. For a string in the line itself, only its position is stored.</summary>
    private static void TakeText(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        int start = (int)reader.TokenStartIndex;
        bool isInLine = reader.TokenType == JsonTokenType.String && !fields.IsOutsideLine;
        fields.Text = isInLine ? null : JsonValues.TextOf(ref reader);
        fields.TextToken = isInLine ? (start, (int)reader.BytesConsumed - start) : default;
    }

    /// <summary>Reads an item of <c>output</c> in /v1/responses. Only items with content have text.</summary>
    private static void ReadOutputItem(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isContent = reader.Is("content"u8);
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

    /// <summary>Reads a part of a content array: <c>{"type":"output_text" or "text","text":…}</c>.</summary>
    private static void ReadPart(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        bool isText = true;
        string? text = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.Is("type"u8))
            {
                reader.Read();
                isText = reader.TokenType == JsonTokenType.String && (reader.Is("output_text"u8) || reader.Is("text"u8));
            }
            else if (reader.Is("text"u8))
            {
                text = JsonValues.ReadText(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        fields.Text = isText && text is not null ? fields.Text + text : fields.Text;
    }

    private static void ReadUsage(ref Utf8JsonReader reader, ref ResultFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.Is("prompt_tokens"u8) || reader.Is("input_tokens"u8))
            {
                fields.PromptTokens = JsonValues.ReadInteger(ref reader);
            }
            else if (reader.Is("completion_tokens"u8) || reader.Is("output_tokens"u8))
            {
                fields.CompletionTokens = JsonValues.ReadInteger(ref reader);
            }
            else if (reader.Is("total_tokens"u8))
            {
                fields.TotalTokens = JsonValues.ReadInteger(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadFirst(ref Utf8JsonReader reader, ref ResultFields fields, ItemReader read)
    {
        bool first = true;
        ReadEach(ref reader, ref fields, (ref Utf8JsonReader item, ref ResultFields into) =>
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

    private static void ReadEach(ref Utf8JsonReader reader, ref ResultFields fields, ItemReader read)
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
}
