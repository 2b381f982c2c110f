using System.Globalization;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How one attempt at a line ended.</summary>
/// <param name="Kind">What it says about the line and the upstream.</param>
/// <param name="Reason">For logs and users: the status or the fault. Contains nothing of the request.</param>
internal readonly record struct Attempt(AttemptKind Kind, string Reason)
{
    /// <summary>How long the upstream requests to wait; null if it does not.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the line succeeded.</summary>
    public bool IsSuccess { get; init; }

    /// <summary>Whether the upstream may refuse only this line: 403, for example a moderated prompt.</summary>
    public bool IsForbidden { get; init; }

    /// <summary>Whether the upstream refuses the key: 401.</summary>
    public bool IsUnauthorized { get; init; }

    /// <summary>Whether the upstream redirects, because the address is wrong or a login has expired.</summary>
    public bool IsRedirect { get; init; }

    /// <summary>Why the line is retried after this attempt.</summary>
    public RetryReason RetryReason => Kind switch
    {
        AttemptKind.Throttled => RetryReason.RateLimit,
        AttemptKind.TimedOut => RetryReason.Timeout,
        AttemptKind.Unreachable or AttemptKind.Broken => RetryReason.Connection,
        AttemptKind.Refused => RetryReason.Refused,
        _ => RetryReason.ServerError,
    };

    /// <summary>Creates the attempt for a response.</summary>
    /// <param name="answer">The response, headers and body.</param>
    /// <param name="statusCode">Its status. If the status is a success and the body is an error, the status of the error.</param>
    /// <param name="isAnswer">Whether the body of a response with a success status is an answer.</param>
    public static Attempt Of(UpstreamAnswer answer, int statusCode, bool isAnswer)
    {
        AttemptKind kind = statusCode switch
        {
            429 when IsOutOfQuota(answer.Body) => AttemptKind.Refused,
            401 or 402 or 403 or 407 => AttemptKind.Refused,
            _ when answer.ShouldRetry == false => AttemptKind.Answered,
            429 => AttemptKind.Throttled,
            408 => AttemptKind.TimedOut,
            // 520 to 524 and 530: Cloudflare in front of a server that is down. 529: overloaded (Anthropic).
            502 or 503 or 504 or (>= 520 and <= 524) or 529 or 530 => AttemptKind.Unavailable,
            >= 200 and < 300 when !isAnswer => AttemptKind.Failed,
            _ when RetryRules.IsTransient(statusCode, answer.ShouldRetry) => AttemptKind.Failed,
            _ => AttemptKind.Answered,
        };
        return new Attempt(kind, Describe(statusCode, kind))
        {
            RetryAfter = answer.RetryAfter,
            IsForbidden = statusCode == 403,
            IsUnauthorized = statusCode == 401,
            IsSuccess = kind == AttemptKind.Answered && statusCode is >= 200 and < 300,
        };
    }

    /// <summary>Creates the attempt for a request without a complete response.</summary>
    public static Attempt Of(UpstreamException exception) => new(
        exception.Fault switch
        {
            UpstreamFault.Unreachable => AttemptKind.Unreachable,
            UpstreamFault.Broken => AttemptKind.Broken,
            UpstreamFault.Redirect => AttemptKind.Refused,
            // The upstream is up, but what it sends can never become a result.
            _ => AttemptKind.Answered,
        },
        exception.Message)
    {
        IsRedirect = exception.Fault == UpstreamFault.Redirect,
    };

    private static string Describe(int statusCode, AttemptKind kind)
    {
        string why = (kind, statusCode) switch
        {
            (AttemptKind.Refused, 401) => ": the key is missing or wrong",
            (AttemptKind.Refused, 402) => ": the account has no funds",
            (AttemptKind.Refused, 403) => ": the key has no access",
            (AttemptKind.Refused, 429) => ": the quota of the account is used up",
            _ => "",
        };
        return string.Create(CultureInfo.InvariantCulture, $"It answers {statusCode}{why}.");
    }

    private static bool IsOutOfQuota(ReadOnlySpan<byte> body) =>
        ErrorReader.ReadBody(body.ToArray()) is ServiceError error && RetryRules.IsFinal(error.Code);
}
