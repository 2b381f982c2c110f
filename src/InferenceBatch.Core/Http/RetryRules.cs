using System.Globalization;
using System.Text.RegularExpressions;

namespace InferenceBatch.Http;

/// <summary>
/// Which responses to retry, and how long to wait. The same rules apply to the client, which calls a Batch API, and to the
/// local service, which calls a model server. Rules: the retry behavior of OpenAI's client
/// libraries (408, 409, 429, 5xx and connection faults; <c>retry-after-ms</c>, <c>retry-after</c>,
/// <c>x-should-retry</c>; otherwise half a second, doubling to 8, minus up to a quarter) and RFC 9110.
/// </summary>
public static partial class RetryRules
{
    private static readonly TimeSpan s_firstBackoff = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_maxBackoff = TimeSpan.FromSeconds(8);

    /// <summary>
    /// Errors that the user must fix: the key, its permissions, the balance of the account, the name of the model. In the form
    /// of <see cref="LettersOf"/>. Source: the error codes and types that OpenAI, Azure OpenAI, Anthropic, Mistral and DeepSeek
    /// document.
    /// </summary>
    private static readonly HashSet<string> s_finalCodes =
    [
        "insufficientquota", "billinghardlimitreached", "billingnotactive", "insufficientfunds", "insufficientbalance", "paymentrequired",
        "creditbalancetoolow", "billingerror", "invalidapikey", "incorrectapikey", "invalidauthentication", "authenticationerror", "unauthorized",
        "permissiondenied", "permissionerror", "insufficientpermissions", "forbidden", "accessdenied", "accessterminated",
        "accountdeactivated", "accountsuspended", "organizationdeactivated", "modelnotfound", "deploymentnotfound",
    ];

    /// <summary>The codes of services for a full queue, or too many batches or files.</summary>
    private static readonly HashSet<string> s_queueFullCodes =
    [
        "tokenlimitexceeded", "enqueuedtokenlimitexceeded", "enqueuedtokenlimitreached", "enqueuedrequestlimitexceeded", "queuefull", "queuelimitexceeded",
        "queuelimitreached", "batchqueuefull", "batchlimitexceeded", "batchlimitreached", "batchcountexceeded", "toomanybatches", "maxbatchesexceeded",
        "maxbatchesreached", "filelimitexceeded", "filelimitreached", "filecountexceeded", "filecountlimitexceeded", "toomanyfiles", "maxfilesexceeded",
        "maxfilesreached",
    ];

    /// <summary>The maximum wait, even if a server asks for a longer one: after an hour, a retry is worthwhile.</summary>
    private static readonly TimeSpan s_maxRetryAfter = TimeSpan.FromHours(1);

    /// <summary>Numbers from here on are not a duration but a time: seconds since 1970.</summary>
    private const double MinUnixTime = 1e9;

    /// <summary>Whether a retry may succeed.</summary>
    /// <param name="statusCode">The HTTP status. 501 is final: the server does not have the function (RFC 9110 section 15.6.2).</param>
    /// <param name="shouldRetry">The decision of the server if it gives one, see <see cref="ReadShouldRetry"/>.</param>
    public static bool IsTransient(int statusCode, bool? shouldRetry = null) =>
        shouldRetry ?? (statusCode is 408 or 409 or 429 or (>= 500 and not 501));

    /// <summary>
    /// Whether an error remains until the user changes something: quota, key, permissions, model. Such an error must not be
    /// retried, whatever its status is: <c>insufficient_quota</c>, for example, has the status 429.
    /// </summary>
    /// <param name="code">The service's code or type, in any spelling.</param>
    public static bool IsFinal(string? code) => s_finalCodes.Contains(LettersOf(code));

    /// <summary>
    /// Whether a service rejects a batch or a file only because too many are queued or stored, so that it will be accepted
    /// later. A file that is too large by itself does not count.
    /// </summary>
    /// <param name="code">The service's code or type, in any spelling.</param>
    /// <param name="message">The service's message.</param>
    public static bool IsQueueFull(string? code, string? message) =>
        !IsFinal(code) && (s_queueFullCodes.Contains(LettersOf(code)) || QueueFullText().IsMatch(message ?? ""));

    /// <summary>Reads <c>x-should-retry</c>; null if it is missing, or neither true nor false.</summary>
    public static bool? ReadShouldRetry(string? value) => bool.TryParse(value, out bool should) ? should : null;

    /// <summary>Reads how long a server asks the client to wait, one hour at most; null if it gives no time, or one in the past.</summary>
    /// <param name="milliseconds">The value of <c>retry-after-ms</c>, which has precedence.</param>
    /// <param name="retryAfter">The value of <c>retry-after</c>: seconds or a date (RFC 9110 section 10.2.3); some servers send seconds since 1970.</param>
    /// <param name="now">The current time.</param>
    public static TimeSpan? ReadRetryAfter(string? milliseconds, string? retryAfter, DateTimeOffset now)
    {
        if (ReadNumber(milliseconds) is >= 0 and { } ms)
        {
            return AtMost(ms / 1000);
        }

        if (ReadNumber(retryAfter) is { } seconds)
        {
            seconds -= seconds >= MinUnixTime ? now.ToUnixTimeMilliseconds() / 1000.0 : 0;
            return seconds >= 0 ? AtMost(seconds) : null;
        }

        return DateTimeOffset.TryParse(retryAfter, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date) && date > now
            ? AtMost((date - now).TotalSeconds) : null;
    }

    /// <summary>Returns how long to wait after a failed attempt if the server gives no time.</summary>
    /// <param name="attempt">The attempt that failed, counted from 1.</param>
    /// <param name="max">The maximum wait; eight seconds if null.</param>
    public static TimeSpan Backoff(int attempt, TimeSpan? max = null)
    {
        TimeSpan backoff = s_firstBackoff * Math.Pow(2, Math.Min(attempt - 1, 10));
        TimeSpan limit = max ?? s_maxBackoff;
        return (backoff < limit ? backoff : limit) * (1 - (0.25 * Random.Shared.NextDouble()));
    }

    private static TimeSpan AtMost(double seconds) => TimeSpan.FromSeconds(Math.Min(seconds, s_maxRetryAfter.TotalSeconds));

    private static double? ReadNumber(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) ? number : null;

    /// <summary>Returns the letters of a code in lower case: <c>insufficient_quota</c>, <c>InsufficientQuota</c> and <c>insufficient-quota</c> are equal.</summary>
    private static string LettersOf(string? code) =>
        code is null ? "" : string.Concat(code.Where(char.IsAsciiLetter).Select(char.ToLowerInvariant));

    /// <summary>Matches the messages of OpenAI ("Enqueued token limit reached for …"), Azure OpenAI ("The number of enqueued tokens has surpassed …") and gateways.</summary>
    [GeneratedRegex(
        @"\benqueued\b.{0,60}\b(limit|surpassed|exceed|full)|\bqueue\b.{0,30}\bfull\b|\b(batches|batch|files?|batch jobs?) (count |quota )?limit\b.{0,30}\b(reached|exceeded)\b"
        + @"|\b(too many|(maximum|max|limit)\b.{0,30}\bnumber of) (?!requests|tokens|lines)([\w-]+ ){0,3}(batches|batch jobs|files)\b",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex QueueFullText();
}
