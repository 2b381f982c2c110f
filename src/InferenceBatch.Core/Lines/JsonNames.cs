using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>Comparing the names of properties in answers, which may hold anything.</summary>
public static class JsonNames
{
    /// <summary>
    /// Whether the reader stands on this plain name. An escaped one is never taken for it: nobody escapes the API's names,
    /// and one with half a surrogate pair would throw when it is unescaped.
    /// </summary>
    public static bool Is(this ref Utf8JsonReader reader, ReadOnlySpan<byte> name) =>
        reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.String && !reader.ValueIsEscaped && reader.ValueTextEquals(name);
}
