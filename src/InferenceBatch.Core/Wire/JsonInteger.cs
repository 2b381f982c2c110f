using System.Globalization;
using System.Text.Json;

namespace InferenceBatch.Wire;

/// <summary>
/// Reads a whole number of a service, such as a token count. Some services write it as a float (<c>12.0</c>, <c>1.2e1</c>) or
/// as a string.
/// </summary>
public static class JsonInteger
{
    /// <summary>Doubles from here on are outside of a long.</summary>
    private const double TooLarge = 9.2e18;

    /// <summary>Reads the number or string at which a reader is; null if it is not a whole number, or beyond a long.</summary>
    public static long? Read(ref Utf8JsonReader reader) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long whole) ? whole
        : reader.TokenType is JsonTokenType.Number or JsonTokenType.String ? Parse(reader.ValueSpan) : null;

    /// <inheritdoc cref="Read(ref Utf8JsonReader)"/>
    internal static long? Read(JsonElement? element) => element?.ValueKind switch
    {
        JsonValueKind.Number => element.Value.TryGetInt64(out long whole) ? whole : Parse(element.Value.GetRawText()),
        JsonValueKind.String => Parse(BrokenText.ReadString(element.Value)),
        _ => null,
    };

    private static long? Parse(ReadOnlySpan<byte> utf8) =>
        long.TryParse(utf8, NumberStyles.Integer, CultureInfo.InvariantCulture, out long whole) ? whole
        : double.TryParse(utf8, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? OfDouble(number) : null;

    private static long? Parse(string text) =>
        long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out long whole) ? whole
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? OfDouble(number) : null;

    private static long? OfDouble(double number) => double.IsInteger(number) && Math.Abs(number) < TooLarge ? (long)number : null;
}
