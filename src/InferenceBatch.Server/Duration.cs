using System.Globalization;

namespace InferenceBatch.Server;

/// <summary>Reads and writes durations: a number with <c>ms</c>, <c>s</c>, <c>m</c>, <c>h</c> or <c>d</c>. A number without a unit is seconds.</summary>
internal static class Duration
{
    private static readonly TimeSpan s_max = TimeSpan.FromDays(365);

    /// <summary>Reads a duration.</summary>
    /// <exception cref="FormatException">The text is not a duration, or it is longer than a year.</exception>
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
            && number * seconds <= s_max.TotalSeconds
            ? TimeSpan.FromSeconds(number * seconds)
            : throw new FormatException($"'{text}' is not a valid duration. Use a number with ms, s, m, h or d, such as 30s, and at most {Format(s_max)}.");
    }

    /// <summary>Writes a duration in the format of <see cref="Parse"/>, in the largest unit that gives a whole number: <c>10s</c>, <c>24h</c>, <c>30d</c>. One day is written in hours.</summary>
    public static string Format(TimeSpan duration) => duration.TotalMilliseconds switch
    {
        0 => "0s",
        > 86_400_000 and double days when days % 86_400_000 == 0 => Number(days / 86_400_000, "d"),
        double hours when hours % 3_600_000 == 0 => Number(hours / 3_600_000, "h"),
        double minutes when minutes % 60_000 == 0 => Number(minutes / 60_000, "m"),
        double seconds when seconds % 1000 == 0 => Number(seconds / 1000, "s"),
        double milliseconds => Number(milliseconds, "ms"),
    };

    private static string Number(double number, string unit) => number.ToString(CultureInfo.InvariantCulture) + unit;
}
