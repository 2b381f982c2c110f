using System.Globalization;
using System.Numerics;

namespace InferenceBatch.Server;

/// <summary>Reads the whole numbers of options, queries, fields and line IDs: digits only, without a sign, spaces or separators.</summary>
internal static class WholeNumber
{
    /// <summary>Reads a number between <paramref name="min"/> and <paramref name="max"/>, both included.</summary>
    /// <returns>False if the text is not such a number.</returns>
    public static bool TryRead<T>(ReadOnlySpan<char> text, T min, T max, out T number)
        where T : IBinaryInteger<T> =>
        T.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number!) && number >= min && number <= max;
}
