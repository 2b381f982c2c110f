using System.Globalization;

namespace InferenceBatch.Server;

/// <summary>Reads spans of time as people write them: <c>500ms</c>, <c>10s</c>, <c>5m</c>, <c>24h</c>, <c>7d</c>; a bare number is seconds.</summary>
internal static class Duration
{
    /// <summary>Reads one.</summary>
    /// <exception cref="FormatException">It is none, or it is longer than a year.</exception>
    public static TimeSpan Parse(string text)
    {
        (string unit, double seconds) = text switch
        {
            _ when text.EndsWith("ms", StringComparison.Ordinal) => ("ms", 0.001),
            _ when text.EndsWith('s') => ("s", 1),
            _ when text.EndsWith('m') => ("m", 60),
            _ when text.EndsWith('h') => ("h", 3600),
            _ when text.EndsWith('d') => ("d", 86400),
            _ => ("", 1),
        };
        string digits = text[..^unit.Length];
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            && number * seconds <= 365 * 86400
            ? TimeSpan.FromSeconds(number * seconds)
            : throw new FormatException($"'{text}' is no duration: a number with ms, s, m, h or d is wanted, such as 30s.");
    }
}
