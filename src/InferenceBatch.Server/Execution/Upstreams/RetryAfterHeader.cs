using System.Globalization;

namespace InferenceBatch.Server.Execution.Upstreams;

/// <summary>Reads how long an answer asks to wait: <c>retry-after-ms</c>, else <c>retry-after</c> in seconds or as a date (RFC 9110 section 10.2.3).</summary>
internal static class RetryAfterHeader
{
    /// <summary>Longer than anybody waits.</summary>
    private static TimeSpan Longest => TimeSpan.FromDays(365);

    public static TimeSpan? Read(string? milliseconds, string? retryAfter, DateTimeOffset now)
    {
        if (double.TryParse(milliseconds, NumberStyles.Float, CultureInfo.InvariantCulture, out double ms) && ms is >= 0)
        {
            return TimeSpan.FromMilliseconds(Math.Min(ms, Longest.TotalMilliseconds));
        }

        if (double.TryParse(retryAfter, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds is >= 0)
        {
            return TimeSpan.FromSeconds(Math.Min(seconds, Longest.TotalSeconds));
        }

        return DateTimeOffset.TryParse(retryAfter, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date)
            ? date > now ? date - now : TimeSpan.Zero
            : null;
    }
}
