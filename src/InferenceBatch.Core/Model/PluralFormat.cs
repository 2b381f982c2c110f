using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>
/// Lets the words of a text agree with its numbers: <c>{0:N0} {0:line is|lines are} left out</c>. A format with a bar holds the
/// words for one and those for any other number; every other format is the culture's.
/// </summary>
/// <param name="culture">How numbers are written.</param>
public sealed class PluralFormat(CultureInfo culture) : IFormatProvider, ICustomFormatter
{
    /// <summary>The text, with numbers as the person writes them.</summary>
    public static string Text(FormattableString text) => text.ToString(new PluralFormat(CultureInfo.CurrentCulture));

    /// <summary>The text, with numbers as every machine writes them.</summary>
    public static string Invariant(FormattableString text) => text.ToString(new PluralFormat(CultureInfo.InvariantCulture));

    public object? GetFormat(Type? formatType) => formatType == typeof(ICustomFormatter) ? this : culture.GetFormat(formatType);

    public string Format(string? format, object? arg, IFormatProvider? formatProvider) =>
        format?.Split('|') is [var one, var other] ? Convert.ToDecimal(arg, culture) == 1 ? one : other
        : arg is IFormattable value ? value.ToString(format, culture) : arg?.ToString() ?? "";
}
