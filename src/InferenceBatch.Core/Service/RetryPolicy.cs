using System.Net;
using System.Net.Http.Headers;
using InferenceBatch.Http;

namespace InferenceBatch.Service;

/// <summary>The number of attempts of a call. <see cref="RetryRules"/> has the rules.</summary>
public sealed record RetryPolicy
{
    /// <summary>Five attempts, for a call that the user waits for.</summary>
    public static RetryPolicy Interactive { get; } = new() { MaxAttempts = 5 };

    /// <summary>One attempt. The caller decides about a retry.</summary>
    public static RetryPolicy Once { get; } = new() { MaxAttempts = 1 };

    /// <summary>The maximum number of attempts.</summary>
    public int MaxAttempts { get; init; }

    /// <summary>The longest Retry-After that a call waits for.</summary>
    public static TimeSpan LongestPause { get; } = TimeSpan.FromMinutes(2);

    /// <summary>Whether a retry may succeed.</summary>
    /// <param name="status">The status of the response.</param>
    /// <param name="headers">Its headers.</param>
    /// <param name="code">The error code of the service; null if there is none.</param>
    public static bool IsTransient(HttpStatusCode status, HttpResponseHeaders headers, string? code) =>
        !RetryRules.IsFinal(code) && RetryRules.IsTransient((int)status, RetryRules.ReadShouldRetry(First(headers, "x-should-retry")));

    /// <summary>Returns how long the service asks the caller to wait; null if it does not.</summary>
    public static TimeSpan? ReadRetryAfter(HttpResponseHeaders headers, DateTimeOffset now) =>
        RetryRules.ReadRetryAfter(First(headers, "retry-after-ms"), First(headers, "retry-after"), now);

    /// <summary>Returns the wait after a failed attempt.</summary>
    /// <param name="attempt">The number of the failed attempt, counted from 1.</param>
    /// <param name="retryAfter">The wait that the service asks for, at most <see cref="LongestPause"/>; null if it does not.</param>
    public static TimeSpan DelayAfter(int attempt, TimeSpan? retryAfter) => retryAfter ?? RetryRules.Backoff(attempt);

    private static string? First(HttpResponseHeaders headers, string name) =>
        headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;
}
