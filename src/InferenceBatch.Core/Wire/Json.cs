using System.Globalization;
using System.Text.Json;

namespace InferenceBatch.Wire;

/// <summary>
/// Tolerant access to JSON that services write in their own ways: a missing, null or mistyped field reads as null.
/// </summary>
internal static class Json
{
    /// <summary>Times at or above this are milliseconds, not seconds (1e11 seconds is the year 5138).</summary>
    private const double FirstMillisecond = 1e11;

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
            // Another name beside it holds half a surrogate pair.
            value = element.EnumerateObject().LastOrDefault(property => BrokenText.ReadName(property) == name).Value;
        }

        return value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined ? null : value;
    }

    /// <summary>The first of several names the element has.</summary>
    public static JsonElement? Field(this JsonElement element, string name, string otherName) =>
        element.Field(name) ?? element.Field(otherName);

    /// <summary>A string, or a number or boolean as it is written; null for "".</summary>
    public static string? Text(this JsonElement? element) => element?.ValueKind switch
    {
        JsonValueKind.String => BrokenText.ReadString(element.Value) is { Length: > 0 } text ? text : null,
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => element.Value.GetRawText(),
        _ => null,
    };

    /// <summary>As <see cref="Text"/>, for an id or a word of the service's: they stand in tables and messages, and none has a control character.</summary>
    public static string? Name(this JsonElement? element) => PlainText.Of(element.Text());

    /// <summary>A whole number, written as a number or as a string.</summary>
    public static long? Whole(this JsonElement? element) => element?.ValueKind switch
    {
        JsonValueKind.Number when element.Value.TryGetInt64(out long whole) => whole,
        JsonValueKind.Number when element.Value.TryGetDouble(out double number) && Math.Abs(number) < 1e15 => (long)number,
        JsonValueKind.String when long.TryParse(
            BrokenText.ReadString(element.Value), NumberStyles.Integer, CultureInfo.InvariantCulture, out long whole) => whole,
        _ => null,
    };

    /// <summary>A time, as seconds or milliseconds since 1970, as either in a string, or as ISO 8601; null for 0 and nonsense.</summary>
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

        double milliseconds = number >= FirstMillisecond ? number : number * 1000;
        return milliseconds > 0 && milliseconds < 253_402_300_800_000
            ? DateTimeOffset.FromUnixTimeMilliseconds((long)milliseconds) : null;
    }
}
