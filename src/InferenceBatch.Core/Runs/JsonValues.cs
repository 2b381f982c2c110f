using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

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
