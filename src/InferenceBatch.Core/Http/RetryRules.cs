using System.Globalization;
using System.Text.RegularExpressions;

namespace InferenceBatch.Http;

/// <summary>
/// Which answers are worth another try, and how long to wait before it: one set of rules for the client, which calls a
/// Batch API, and for the local service, which calls a model server. Rules: the retry behavior of OpenAI's client
/// libraries (408, 409, 429, 5xx and connection faults; <c>retry-after-ms</c>, <c>retry-after</c>,
/// <c>x-should-retry</c>; otherwise half a second, doubling to 8, minus up to a quarter) and RFC 9110.
/// </summary>
public static partial class RetryRules
{
    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(8);

    /// <summary>
    /// What only a person can change: the key, its rights, the account's money, the model's name. Written as
    /// <see cref="LettersOf"/> gives them. Source: the error codes and types that OpenAI, Azure OpenAI, Anthropic, Mistral
    /// and DeepSeek document.
    /// </summary>
    private static readonly HashSet<string> s_finalCodes =
    [
        "insufficientquota", "billinghardlimitreached", "billingnotactive", "insufficientfunds", "insufficientbalance", "paymentrequired",
        "creditbalancetoolow", "billingerror", "invalidapikey", "incorrectapikey", "invalidauthentication", "authenticationerror", "unauthorized",
        "permissiondenied", "permissionerror", "insufficientpermissions", "forbidden", "accessdenied", "accessterminated",
        "accountdeactivated", "accountsuspended", "organizationdeactivated", "modelnotfound", "deploymentnotfound",
    ];

    /// <summary>How services name a queue, or a number of batches or files, that has no room for one more.</summary>
    private static readonly HashSet<string> s_fullCodes =
    [
        "tokenlimitexceeded", "enqueuedtokenlimitexceeded", "enqueuedtokenlimitreached", "enqueuedrequestlimitexceeded", "queuefull", "queuelimitexceeded",
        "queuelimitreached", "batchqueuefull", "batchlimitexceeded", "batchlimitreached", "batchcountexceeded", "toomanybatches", "maxbatchesexceeded",
        "maxbatchesreached", "filelimitexceeded", "filelimitreached", "filecountexceeded", "filecountlimitexceeded", "toomanyfiles", "maxfilesexceeded",
        "maxfilesreached",
    ];

    /// <summary>However long a server asks to wait: after an hour it is worth a look.</summary>
    private static readonly TimeSpan s_longestAsked = TimeSpan.FromHours(1);

    /// <summary>A number as large as this is no wait but a time: seconds since 1970.</summary>
    private const double FirstTime = 1e9;

    /// <summary>Whether the next try may get another answer.</summary>
    /// <param name="statusCode">The HTTP status. 501 is final: the server does not have the function (RFC 9110 section 15.6.2).</param>
    /// <param name="shouldRetry">The server's own word, see <see cref="ReadShouldRetry"/>.</param>
    public static bool IsTransient(int statusCode, bool? shouldRetry = null) =>
        shouldRetry ?? (statusCode is 408 or 409 or 429 or (>= 500 and not 501));

    /// <summary>
    /// Whether an error stays until a person has changed something: quota, key, rights, model. It is not worth another
    /// try whatever status it comes with; <c>insufficient_quota</c>, for example, comes as 429.
    /// </summary>
    /// <param name="code">The service's code or type, in any spelling.</param>
    public static bool IsFinal(string? code) => s_finalCodes.Contains(LettersOf(code));

    /// <summary>
    /// Whether a service refuses a batch or a file only because too many are queued or kept: the same one fits later.
    /// A single file that is too large is not meant.
    /// </summary>
    /// <param name="code">The service's code or type, in any spelling.</param>
    /// <param name="message">The service's sentence.</param>
    public static bool IsQueueFull(string? code, string? message) =>
        !IsFinal(code) && (s_fullCodes.Contains(LettersOf(code)) || QueueFullText().IsMatch(message ?? ""));

    /// <summary>Reads <c>x-should-retry</c>; null when it is absent or is neither true nor false.</summary>
    public static bool? ReadShouldRetry(string? value) => bool.TryParse(value, out bool should) ? should : null;

    /// <summary>Reads how long a server asks the caller to wait, an hour at most; null when it does not say, or names a time in the past.</summary>
    /// <param name="milliseconds">The value of <c>retry-after-ms</c>, which has precedence.</param>
    /// <param name="retryAfter">The value of <c>retry-after</c>: seconds or a date (RFC 9110 section 10.2.3); some servers send seconds since 1970.</param>
    /// <param name="now">The time that a date is compared with.</param>
    public static TimeSpan? ReadRetryAfter(string? milliseconds, string? retryAfter, DateTimeOffset now)
    {
        if (ReadNumber(milliseconds) is >= 0 and { } ms)
        {
            return AtMost(ms / 1000);
        }

        if (ReadNumber(retryAfter) is { } seconds)
        {
            seconds -= seconds >= FirstTime ? now.ToUnixTimeMilliseconds() / 1000.0 : 0;
            return seconds >= 0 ? AtMost(seconds) : null;
        }

        return DateTimeOffset.TryParse(retryAfter, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date) && date > now
            ? AtMost((date - now).TotalSeconds) : null;
    }

    /// <summary>How long to wait after a failed attempt when the server does not say.</summary>
    /// <param name="attempt">The attempt that failed, counted from 1.</param>
    /// <param name="longest">The longest wait; eight seconds when null.</param>
    public static TimeSpan Backoff(int attempt, TimeSpan? longest = null)
    {
        TimeSpan backoff = s_first * Math.Pow(2, Math.Min(attempt - 1, 10));
        TimeSpan most = longest ?? s_longest;
        return (backoff < most ? backoff : most) * (1 - (0.25 * Random.Shared.NextDouble()));
    }

    private static TimeSpan AtMost(double seconds) => TimeSpan.FromSeconds(Math.Min(seconds, s_longestAsked.TotalSeconds));

    private static double? ReadNumber(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) ? number : null;

    /// <summary>The letters of a code in lower case: <c>insufficient_quota</c>, <c>InsufficientQuota</c> and <c>insufficient-quota</c> are one.</summary>
    private static string LettersOf(string? code) =>
        code is null ? "" : string.Concat(code.Where(char.IsAsciiLetter).Select(char.ToLowerInvariant));

    /// <summary>The sentences of OpenAI ("Enqueued token limit reached for …"), Azure OpenAI ("The number of enqueued tokens has surpassed …") and gateways.</summary>
    [GeneratedRegex(
        @"\benqueued\b.{0,60}\b(limit|surpassed|exceed|full)|\bqueue\b.{0,30}\bfull\b|\b(batches|batch|files?|batch jobs?) (count |quota )?limit\b.{0,30}\b(reached|exceeded)\b"
        + @"|\b(too many|(maximum|max|limit)\b.{0,30}\bnumber of) (?!requests|tokens|lines)([\w-]+ ){0,3}(batches|batch jobs|files)\b",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex QueueFullText();
}
