using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>Compares names in responses, which may contain any text.</summary>
public static class JsonNames
{
    /// <summary>
    /// Whether the reader is at this property name or string. An escaped name never matches: services do not escape the
    /// names of the API, and unescaping a name with half a surrogate pair would throw.
    /// </summary>
    public static bool Is(this ref Utf8JsonReader reader, ReadOnlySpan<byte> name) =>
        reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.String && !reader.ValueIsEscaped && reader.ValueTextEquals(name);
}
