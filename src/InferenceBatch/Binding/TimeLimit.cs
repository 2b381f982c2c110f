namespace InferenceBatch.Binding;

/// <summary>Makes a limit of a number of seconds, as parameters hold it.</summary>
internal static class TimeLimit
{
    /// <summary>A hundred years. Times beyond it cannot be added to today's date, nor waited for.</summary>
    private const double Longest = 100 * 365.25 * 24 * 3600;

    /// <summary>The time; null for no limit: where nothing was given, and where it is longer than a hundred years.</summary>
    public static TimeSpan? Of(double? seconds) => seconds < Longest ? TimeSpan.FromSeconds(seconds.Value) : null;
}
