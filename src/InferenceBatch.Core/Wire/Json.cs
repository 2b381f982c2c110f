using System.Globalization;
using System.Text.Json;

namespace InferenceBatch.Wire;

/// <summary>
/// Reads JSON of services tolerantly: a field that is missing or null, or has the wrong type, is null.
/// </summary>
internal static class Json
{
    /// <summary>Times from here on are milliseconds, not seconds (1e11 seconds is the year 5138).</summary>
    private const double MinMilliseconds = 1e11;

    public static JsonElement? Field(this JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        JsonElement value;
        try
        {
            element.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException)
        {
            // The name of another property contains half a surrogate pair.
            value = element.EnumerateObject().LastOrDefault(property => BrokenText.ReadName(property) == name).Value;
        }

        return value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined ? null : value;
    }

    /// <summary>Returns the first field; if it is missing, the other one.</summary>
    public static JsonElement? Field(this JsonElement element, string name, string otherName) =>
        element.Field(name) ?? element.Field(otherName);

    /// <summary>Returns a string, or a number or boolean as it is written; null for "".</summary>
    public static string? Text(this JsonElement? element) => element?.ValueKind switch
    {
        JsonValueKind.String => BrokenText.ReadString(element.Value) is { Length: > 0 } text ? text : null,
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => element.Value.GetRawText(),
        _ => null,
    };

    /// <summary>Like <see cref="Text"/>, for an ID or another word that appears in tables and messages: control characters are replaced.</summary>
    public static string? Name(this JsonElement? element) => PlainText.Of(element.Text());

    /// <summary>Returns an integer that is written as a number or as a string; see <see cref="JsonInteger"/>.</summary>
    public static long? Integer(this JsonElement? element) => JsonInteger.Read(element);

    /// <summary>Returns a time from seconds or milliseconds since 1970, as a number or a string, or from ISO 8601; null for 0 and invalid values.</summary>
    public static DateTimeOffset? Time(this JsonElement? element)
    {
        double number;
        switch (element?.ValueKind)
        {
            case JsonValueKind.Number when element.Value.TryGetDouble(out number):
                break;
            case JsonValueKind.String:
                string text = BrokenText.ReadString(element.Value);
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number))
                {
                    break;
                }

                return DateTimeOffset.TryParse(
                    text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTimeOffset time)
                    ? time : null;
            default:
                return null;
        }

        double milliseconds = number >= MinMilliseconds ? number : number * 1000;
        return milliseconds > 0 && milliseconds < 253_402_300_800_000
            ? DateTimeOffset.FromUnixTimeMilliseconds((long)milliseconds) : null;
    }
}
