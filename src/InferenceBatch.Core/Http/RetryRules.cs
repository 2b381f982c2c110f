using System.Globalization;

namespace InferenceBatch.Http;

/// <summary>
/// Which answers are worth another try, and how long to wait before it: one set of rules for the client, which calls a
/// Batch API, and for the local service, which calls a model server. Rules: the retry behavior of OpenAI's client
/// libraries (408, 409, 429, 5xx and connection faults; <c>retry-after-ms</c>, <c>retry-after</c>,
/// <c>x-should-retry</c>; otherwise half a second, doubling to 8, minus up to a quarter) and RFC 9110.
/// </summary>
public static class RetryRules
{
    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(8);

    /// <summary>No server means a longer wait than this.</summary>
    private static readonly TimeSpan s_longestAsked = TimeSpan.FromDays(365);

    /// <summary>Whether the next try may get another answer.</summary>
    /// <param name="statusCode">The HTTP status. 501 is final: the server does not have the function (RFC 9110 section 15.6.2).</param>
    /// <param name="shouldRetry">The server's own word, see <see cref="ReadShouldRetry"/>.</param>
    public static bool IsTransient(int statusCode, bool? shouldRetry = null) =>
        shouldRetry ?? (statusCode is 408 or 409 or 429 or (>= 500 and not 501));

    /// <summary>Reads <c>x-should-retry</c>; null when it is absent or is neither true nor false.</summary>
    public static bool? ReadShouldRetry(string? value) => bool.TryParse(value, out bool should) ? should : null;

    /// <summary>Reads how long a server asks the caller to wait; null when it does not say, or names a time in the past.</summary>
    /// <param name="milliseconds">The value of <c>retry-after-ms</c>, which has precedence.</param>
    /// <param name="retryAfter">The value of <c>retry-after</c>: seconds or a date (RFC 9110 section 10.2.3).</param>
    /// <param name="now">The time that a date is compared with.</param>
    public static TimeSpan? ReadRetryAfter(string? milliseconds, string? retryAfter, DateTimeOffset now)
    {
        if (ReadNumber(milliseconds) is >= 0 and { } ms)
        {
            return TimeSpan.FromMilliseconds(Math.Min(ms, s_longestAsked.TotalMilliseconds));
        }

        if (ReadNumber(retryAfter) is { } seconds)
        {
            return seconds >= 0 ? TimeSpan.FromSeconds(Math.Min(seconds, s_longestAsked.TotalSeconds)) : null;
        }

        return DateTimeOffset.TryParse(retryAfter, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date) && date > now
            ? date - now : null;
    }

    /// <summary>How long to wait after a failed attempt when the server does not say.</summary>
    /// <param name="attempt">The attempt that failed, counted from 1.</param>
    public static TimeSpan Backoff(int attempt)
    {
        TimeSpan backoff = s_first * Math.Pow(2, Math.Min(attempt - 1, 10));
        return (backoff < s_longest ? backoff : s_longest) * (1 - (0.25 * Random.Shared.NextDouble()));
    }

    private static double? ReadNumber(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) ? number : null;
}
