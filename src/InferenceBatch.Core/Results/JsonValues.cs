using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>Reads the value that follows a property's name; one of another kind than wanted is passed over and reads as null.</summary>
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

    /// <summary>Reads a text that is often the same; then it is <paramref name="last"/> itself, which becomes what was read.</summary>
    public static string? ReadName(ref Utf8JsonReader reader, ref string? last)
    {
        reader.Read();
        bool isLast = last is not null && reader.TokenType == JsonTokenType.String && !reader.ValueIsEscaped && reader.ValueTextEquals(last);
        return isLast ? last : last = TextOf(ref reader);
    }

    /// <summary>The text of the value the reader stands on.</summary>
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

    public static long? ReadWhole(ref Utf8JsonReader reader)
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
}
