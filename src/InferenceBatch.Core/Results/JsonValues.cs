using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>Reads the value after a property name. A value of an unexpected type is skipped, and the result is null.</summary>
internal static class JsonValues
{
    public static ServiceError? ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        return ErrorReader.Read(document.RootElement);
    }

    public static string? ReadText(ref Utf8JsonReader reader)
    {
        reader.Read();
        return TextOf(ref reader);
    }

    /// <summary>Reads a text that is often the same as the last one, and then returns that string instead of a copy. Updates <paramref name="last"/>.</summary>
    public static string? ReadName(ref Utf8JsonReader reader, ref string? last)
    {
        reader.Read();
        bool isLast = last is not null && reader.TokenType == JsonTokenType.String && !reader.ValueIsEscaped && reader.ValueTextEquals(last);
        return isLast ? last : last = TextOf(ref reader);
    }

    /// <summary>Returns the text of the current value.</summary>
    public static string? TextOf(ref Utf8JsonReader reader)
    {
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

    public static long? ReadInteger(ref Utf8JsonReader reader)
    {
        reader.Read();
        long? whole = JsonInteger.Read(ref reader);
        reader.Skip();
        return whole;
    }
}
