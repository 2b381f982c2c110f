using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace InferenceBatch.Runs;

/// <summary>The number of failures at which a run stops early: a count, or a percentage of the results so far.</summary>
public sealed record FailureLimit
{
    /// <summary>The number of results from which a percentage applies.</summary>
    public const int SmallestSample = 20;

    private FailureLimit(double value, bool isPercent) => (Value, IsPercent) = (value, isPercent);

    /// <summary>The count, or the percentage from 0 to 100.</summary>
    public double Value { get; }

    public bool IsPercent { get; }

    /// <summary>Parses <c>20</c> or <c>5%</c>. Spaces around the number are allowed; fractions only in percentages.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out FailureLimit? limit)
    {
        limit = null;
        string number = text?.Trim() ?? "";
        bool isPercent = number.EndsWith('%');
        if (isPercent)
        {
            number = number[..^1].TrimEnd();
        }

        const NumberStyles Plain = NumberStyles.AllowDecimalPoint;
        if (!double.TryParse(number, Plain, CultureInfo.InvariantCulture, out double value) || value < 0
            || (isPercent ? value > 100 : value > long.MaxValue || value != Math.Truncate(value)))
        {
            return false;
        }

        limit = new FailureLimit(value, isPercent);
        return true;
    }

    /// <summary>
    /// Whether the failures reach the limit. The first failure reaches a limit of 0 as well as a limit of 1. A percentage
    /// applies from <see cref="SmallestSample"/> results.
    /// </summary>
    public bool IsReached(long failed, long results) =>
        failed > 0 && (IsPercent ? results >= SmallestSample && failed * 100.0 >= Value * results : failed >= Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture) + (IsPercent ? "%" : "");
}
