using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace InferenceBatch.Service;

/// <summary>
/// When a call is tried again, and after how long. Rules: the retry behaviour of OpenAI's client libraries (408, 409,
/// 429, 5xx and connection faults; <c>retry-after-ms</c>, <c>retry-after</c>, <c>x-should-retry</c>; else half a
/// second doubling to 8, less up to a quarter).
/// </summary>
public sealed record RetryPolicy
{
    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan s_longestAsked = TimeSpan.FromSeconds(120);

    /// <summary>For a call a person waits on: five tries in all.</summary>
    public static RetryPolicy Interactive { get; } = new() { MaxAttempts = 5 };

    /// <summary>One try: the caller decides what comes after it.</summary>
    public static RetryPolicy Once { get; } = new() { MaxAttempts = 1 };

    /// <summary>Tries in all.</summary>
    public int MaxAttempts { get; init; }

    /// <summary>Whether an answer of this status may be different next time.</summary>
    public static bool IsTransient(HttpStatusCode status, HttpResponseHeaders headers)
    {
        if (headers.TryGetValues("x-should-retry", out IEnumerable<string>? said))
        {
            switch (said.FirstOrDefault()?.Trim().ToUpperInvariant())
            {
                case "TRUE": return true;
                case "FALSE": return false;
            }
        }

        return status is HttpStatusCode.RequestTimeout or HttpStatusCode.Conflict or HttpStatusCode.TooManyRequests
            || ((int)status >= 500 && status != HttpStatusCode.NotImplemented);
    }

    /// <summary>How long the service asks to wait, up to 120 s; null when it does not say or asks for more.</summary>
    public static TimeSpan? ReadRetryAfter(HttpResponseHeaders headers, DateTimeOffset now)
    {
        TimeSpan? asked = null;
        if (headers.TryGetValues("retry-after-ms", out IEnumerable<string>? milliseconds)
            && double.TryParse(milliseconds.First(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number))
        {
            asked = TimeSpan.FromMilliseconds(Math.Clamp(number, -1, 1e9));
        }
        else if (headers.TryGetValues("retry-after", out IEnumerable<string>? after))
        {
            string text = after.First();
            asked = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number)
                ? TimeSpan.FromSeconds(Math.Clamp(number, -1, 1e6))
                : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date)
                    ? date - now : null;
        }

        return asked >= TimeSpan.Zero && asked <= s_longestAsked ? asked : null;
    }

    /// <summary>The wait after a failed try.</summary>
    /// <param name="attempt">The try that failed, counted from 1.</param>
    /// <param name="asked">What the service asked for.</param>
    public static TimeSpan DelayAfter(int attempt, TimeSpan? asked)
    {
        if (asked is { } wait)
        {
            return wait;
        }

        TimeSpan backoff = s_first * Math.Pow(2, Math.Min(attempt - 1, 10));
        return (backoff < s_longest ? backoff : s_longest) * (1 - (0.25 * Random.Shared.NextDouble()));
    }
}
