namespace InferenceBatch.Binding;

/// <summary>Converts the seconds of a parameter to a time limit.</summary>
internal static class TimeLimit
{
    /// <summary>A hundred years. Much longer times cannot be added to the current date, or waited for.</summary>
    private const double Longest = 100 * 365.25 * 24 * 3600;

    /// <summary>Returns the time; null for no limit, that is for null and for more than a hundred years.</summary>
    public static TimeSpan? Of(double? seconds) => seconds < Longest ? TimeSpan.FromSeconds(seconds.Value) : null;
}
