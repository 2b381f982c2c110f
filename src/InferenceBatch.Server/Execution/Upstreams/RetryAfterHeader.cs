using System.Globalization;

namespace InferenceBatch.Server.Execution.Upstreams;

/// <summary>Reads how long an answer asks to wait: <c>retry-after-ms</c>, else <c>retry-after</c> in seconds or as a date (RFC 9110 section 10.2.3).</summary>
internal static class RetryAfterHeader
{
    public static TimeSpan? Read(string? milliseconds, string? retryAfter, DateTimeOffset now)
    {
        if (double.TryParse(milliseconds, NumberStyles.Float, CultureInfo.InvariantCulture, out double ms) && ms is >= 0 and < 1e10)
        {
            return TimeSpan.FromMilliseconds(ms);
        }

        if (double.TryParse(retryAfter, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds is >= 0 and < 1e7)
        {
            return TimeSpan.FromSeconds(seconds);
        }

        return DateTimeOffset.TryParse(retryAfter, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date)
            ? date > now ? date - now : TimeSpan.Zero
            : null;
    }
}
