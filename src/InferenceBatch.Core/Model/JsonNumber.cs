using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>Which JSON numbers become a value: any integer of a reasonable length, and other numbers that a double can represent.</summary>
public static class JsonNumber
{
    /// <summary>The maximum length of an integer. The time to convert longer ones grows with the square of their length.</summary>
    private const int MaxDigits = 1000;

    /// <summary>Whether a JSON number is written without a fraction and an exponent.</summary>
    public static bool IsInteger(string number) => number.AsSpan().IndexOfAny(".eE") < 0;

    /// <summary>Whether a number is beyond a double, such as <c>1e400</c>, or an integer with more than 1,000 digits.</summary>
    /// <param name="number">The number as it is written in JSON.</param>
    public static bool IsOutOfRange(string number) => IsInteger(number)
        ? number.Length > MaxDigits
        : !double.IsFinite(double.Parse(number, NumberStyles.Float, CultureInfo.InvariantCulture));
}
