using System.Text;
using System.Text.Json;

namespace InferenceBatch.Model;

/// <summary>
/// Whether a request asks for JSON, and why an answer is not JSON. Chat completions use <c>response_format</c>, and
/// <c>/v1/responses</c> uses <c>text.format</c>, each with the type <c>json_schema</c> or <c>json_object</c> (OpenAI's API
/// reference).
/// </summary>
internal static class StructuredAnswer
{
    private const string OutOfRange = "the answer has a number that is out of range: ";
    private const int LongestNumber = 30;

    private static readonly JsonReaderOptions s_options = new() { MaxDepth = 256 };

    /// <summary>Whether the body of a request asks for JSON; false if it cannot be read.</summary>
    public static bool IsRequestedBy(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, s_options);
        bool isRequested = false;
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
            {
                bool isFormat = reader.ValueTextEquals("response_format"u8);
                bool isText = !isFormat && reader.ValueTextEquals("text"u8);
                reader.Read();
                isRequested |= isFormat ? IsJsonFormat(ref reader) : isText && HasJsonFormat(ref reader);
                reader.Skip();
            }

            return isRequested;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Returns why an answer has no value as a JSON object or array; null if it has, and if it calls a tool instead.</summary>
    public static string? Problem(string? text, string? finishReason)
    {
        if (text is null && finishReason is "tool_calls" or "function_call")
        {
            return null;
        }

        string? reason = string.IsNullOrWhiteSpace(text) ? "it is empty" : WhyNotJson(text);
        return reason is null || reason.StartsWith(OutOfRange, StringComparison.Ordinal) ? reason : finishReason switch
        {
            "length" or "max_tokens" or "max_output_tokens" => "the answer was cut off by the token limit",
            "content_filter" => "the answer was cut off by the service's content filter",
            "incomplete" => "the answer was cut off before its end",
            _ => $"the answer is not JSON: {reason}",
        };
    }

    private static string? WhyNotJson(string text)
    {
        char first = text.AsSpan().TrimStart()[0];
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        var reader = new Utf8JsonReader(utf8, s_options);
        string? outOfRange = null;
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                {
                    _ = reader.GetString();
                }
                else if (reader.TokenType == JsonTokenType.Number && outOfRange is null && !reader.TryGetInt64(out _)
                    && Encoding.UTF8.GetString(reader.ValueSpan) is var number && JsonNumber.IsOutOfRange(number))
                {
                    outOfRange = OutOfRange + (number.Length > LongestNumber ? number[..LongestNumber] + "…" : number);
                }
            }
        }
        catch (JsonException exception)
        {
            return first is not ('{' or '[') ? text.TrimStart().StartsWith("```", StringComparison.Ordinal) ? "it is inside a ``` code block" : "it begins with other text"
                : EndsTooEarly(utf8) ? "it ends too early" : JsonFault.Place(exception);
        }
        catch (InvalidOperationException)
        {
            return "it contains half a surrogate pair";
        }

        return first is '{' or '[' ? outOfRange : "it is a single value, not an object or array";
    }

    /// <summary>Whether a text is the beginning of valid JSON.</summary>
    private static bool EndsTooEarly(byte[] utf8)
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

        bool isRequested = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isFormat = reader.ValueTextEquals("format"u8);
            reader.Read();
            isRequested |= isFormat && IsJsonFormat(ref reader);
            reader.Skip();
        }

        return isRequested;
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
