using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>
/// Selects words that agree with numbers: <c>{0:N0} {0:line is|lines are} left out</c>. A format with a bar has the words for
/// 1 and those for any other number. Other formats are those of the culture.
/// </summary>
/// <param name="culture">The culture for numbers.</param>
public sealed class PluralFormat(CultureInfo culture) : IFormatProvider, ICustomFormatter
{
    /// <summary>Formats a text with numbers in the user's culture.</summary>
    public static string Text(FormattableString text) => text.ToString(new PluralFormat(CultureInfo.CurrentCulture));

    /// <summary>Formats a text with numbers in the invariant culture.</summary>
    public static string Invariant(FormattableString text) => text.ToString(new PluralFormat(CultureInfo.InvariantCulture));

    public object? GetFormat(Type? formatType) => formatType == typeof(ICustomFormatter) ? this : culture.GetFormat(formatType);

    public string Format(string? format, object? arg, IFormatProvider? formatProvider) =>
        format?.Split('|') is [var one, var other] ? Convert.ToDecimal(arg, culture) == 1 ? one : other
        : arg is IFormattable value ? value.ToString(format, culture) : arg?.ToString() ?? "";
}
