using System.Text;
using System.Text.Json;

namespace InferenceBatch.Binding;

/// <summary>A JSON value as compact UTF-8: the value of a JSON parameter after binding.</summary>
internal sealed class RawJson(byte[] utf8)
{
    public ReadOnlyMemory<byte> Utf8 { get; } = utf8;

    /// <summary>Returns a field of this object if it is a string, else null.</summary>
    public string? TextOf(string field)
    {
        using JsonDocument document = JsonDocument.Parse(Utf8);
        return document.RootElement.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    public override string ToString() => Encoding.UTF8.GetString(Utf8.Span);
}
