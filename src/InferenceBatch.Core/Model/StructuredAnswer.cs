using System.Text;
using System.Text.Json;

namespace InferenceBatch.Model;

/// <summary>
/// Whether a request asked for JSON, and what keeps an answer from being it. Chat completions ask by
/// <c>response_format</c>, <c>/v1/responses</c> by <c>text.format</c>; the types are <c>json_schema</c> and
/// <c>json_object</c> (OpenAI's API reference).
/// </summary>
internal static class StructuredAnswer
{
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = 256 };

    /// <summary>Whether a request's body asks for JSON; false for one that cannot be read.</summary>
    public static bool IsAskedBy(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, s_options);
        bool isAsked = false;
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
            {
                bool isFormat = reader.ValueTextEquals("response_format"u8);
                bool isText = !isFormat && reader.ValueTextEquals("text"u8);
                reader.Read();
                isAsked |= isFormat ? IsJsonFormat(ref reader) : isText && HasJsonFormat(ref reader);
                reader.Skip();
            }

            return isAsked;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>What is wrong with an answer that was to be JSON; null for a JSON object or array, and for one that calls a tool instead.</summary>
    public static string? Problem(string? text, string? finishReason)
    {
        if (text is null && finishReason is "tool_calls" or "function_call")
        {
            return null;
        }

        string? why = string.IsNullOrWhiteSpace(text) ? "it is empty" : WhyNotJson(text);
        return why is null ? null : finishReason switch
        {
            "length" or "max_tokens" or "max_output_tokens" => "the answer was cut off by the token limit",
            "content_filter" => "the answer was cut off by the service's content filter",
            "incomplete" => "the answer was cut off before its end",
            _ => $"the answer is not JSON: {why}",
        };
    }

    private static string? WhyNotJson(string text)
    {
        char first = text.AsSpan().TrimStart()[0];
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        var reader = new Utf8JsonReader(utf8, s_options);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                {
                    _ = reader.GetString();
                }
            }
        }
        catch (JsonException exception)
        {
            return first is not ('{' or '[') ? text.TrimStart().StartsWith("```", StringComparison.Ordinal) ? "it is between ``` lines" : "it starts with other text"
                : BreaksOff(utf8) ? "it is incomplete" : JsonFault.Place(exception);
        }
        catch (InvalidOperationException)
        {
            return "it contains half a surrogate pair";
        }

        return first is '{' or '[' ? null : "it is a single value, not an object or an array";
    }

    /// <summary>Whether JSON goes well until it ends too early.</summary>
    private static bool BreaksOff(byte[] utf8)
    {
        var reader = new Utf8JsonReader(utf8, isFinalBlock: false, new JsonReaderState(s_options));
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool HasJsonFormat(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        bool isAsked = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isFormat = reader.ValueTextEquals("format"u8);
            reader.Read();
            isAsked |= isFormat && IsJsonFormat(ref reader);
            reader.Skip();
        }

        return isAsked;
    }

    private static bool IsJsonFormat(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        bool isJson = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isType = reader.ValueTextEquals("type"u8);
            reader.Read();
            isJson |= isType && reader.TokenType == JsonTokenType.String
                && (reader.ValueTextEquals("json_schema"u8) || reader.ValueTextEquals("json_object"u8));
            reader.Skip();
        }

        return isJson;
    }
}
