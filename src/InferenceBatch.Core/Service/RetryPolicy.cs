using System.Net;
using System.Net.Http.Headers;
using InferenceBatch.Http;

namespace InferenceBatch.Service;

/// <summary>How often a call is tried; the rules are those of <see cref="RetryRules"/>.</summary>
public sealed record RetryPolicy
{
    /// <summary>For a call a person waits on: five tries in all.</summary>
    public static RetryPolicy Interactive { get; } = new() { MaxAttempts = 5 };

    /// <summary>One try: the caller decides what comes after it.</summary>
    public static RetryPolicy Once { get; } = new() { MaxAttempts = 1 };

    /// <summary>Tries in all.</summary>
    public int MaxAttempts { get; init; }

    /// <summary>The longest pause that a call waits by itself because the service asks for it.</summary>
    public static TimeSpan LongestPause { get; } = TimeSpan.FromMinutes(2);

    /// <summary>Whether the next try may get another answer.</summary>
    /// <param name="status">The answer's status.</param>
    /// <param name="headers">Its headers.</param>
    /// <param name="code">The service's code; null where it gave none.</param>
    public static bool IsTransient(HttpStatusCode status, HttpResponseHeaders headers, string? code) =>
        !RetryRules.IsFinal(code) && RetryRules.IsTransient((int)status, RetryRules.ReadShouldRetry(First(headers, "x-should-retry")));

    /// <summary>How long the service asks the caller to wait; null when it does not say.</summary>
    public static TimeSpan? ReadRetryAfter(HttpResponseHeaders headers, DateTimeOffset now) =>
        RetryRules.ReadRetryAfter(First(headers, "retry-after-ms"), First(headers, "retry-after"), now);

    /// <summary>The wait after a failed try.</summary>
    /// <param name="attempt">The try that failed, counted from 1.</param>
    /// <param name="asked">What the service asked for; not more than <see cref="LongestPause"/>.</param>
    public static TimeSpan DelayAfter(int attempt, TimeSpan? asked) => asked ?? RetryRules.Backoff(attempt);

    private static string? First(HttpResponseHeaders headers, string name) =>
        headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;
}
