using System.Globalization;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How one attempt at a line ended.</summary>
/// <param name="Kind">What it says about line and upstream.</param>
/// <param name="Reason">For logs and people: the status or the fault, and nothing of the request.</param>
internal readonly record struct Attempt(AttemptKind Kind, string Reason)
{
    /// <summary>How long the upstream asks to wait; null when it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the line succeeded.</summary>
    public bool IsSuccess { get; init; }

    /// <summary>Whether it may be this line that is refused: 403, such as a moderated prompt.</summary>
    public bool IsForbidden { get; init; }

    /// <summary>Whether the key is refused: 401.</summary>
    public bool IsUnauthorized { get; init; }

    /// <summary>Whether the upstream redirects: the address is wrong, or a login has expired.</summary>
    public bool IsRedirect { get; init; }

    /// <summary>Why a line is sent again after such an attempt.</summary>
    public RetryReason RetryReason => Kind switch
    {
        AttemptKind.Throttled => RetryReason.RateLimit,
        AttemptKind.TimedOut => RetryReason.Timeout,
        AttemptKind.Unreachable or AttemptKind.Broken => RetryReason.Connection,
        AttemptKind.Refused => RetryReason.Refused,
        _ => RetryReason.ServerError,
    };

    /// <summary>Reads what an answer says.</summary>
    /// <param name="answer">The answer, headers and body.</param>
    /// <param name="statusCode">Its status, or the one that its body names where the status is a success and the body an error.</param>
    /// <param name="isAnswer">Whether a body with a success status is an answer.</param>
    public static Attempt Of(UpstreamAnswer answer, int statusCode, bool isAnswer)
    {
        AttemptKind kind = statusCode switch
        {
            429 when IsOutOfQuota(answer.Body) => AttemptKind.Refused,
            401 or 402 or 403 or 407 => AttemptKind.Refused,
            _ when answer.ShouldRetry == false => AttemptKind.Answered,
            429 => AttemptKind.Throttled,
            408 => AttemptKind.TimedOut,
            // 520 to 524 and 530: Cloudflare in front of a server that is away. 529: overloaded (Anthropic).
            502 or 503 or 504 or (>= 520 and <= 524) or 529 or 530 => AttemptKind.Unavailable,
            >= 200 and < 300 when !isAnswer => AttemptKind.Failed,
            _ when RetryRules.IsTransient(statusCode, answer.ShouldRetry) => AttemptKind.Failed,
            _ => AttemptKind.Answered,
        };
        return new Attempt(kind, Describe(statusCode, kind)) { RetryAfter = answer.RetryAfter, IsForbidden = statusCode == 403, IsUnauthorized = statusCode == 401, IsSuccess = kind == AttemptKind.Answered && statusCode is >= 200 and < 300 };
    }

    /// <summary>Reads what a missing answer says.</summary>
    public static Attempt Of(UpstreamException exception) => new(
        exception.Fault switch
        {
            UpstreamFault.Unreachable => AttemptKind.Unreachable,
            UpstreamFault.Broken => AttemptKind.Broken,
            UpstreamFault.Redirect => AttemptKind.Refused,
            // The upstream is there: what it sends can never become a result.
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
            (AttemptKind.Refused, 429) => ": the account's quota is used up",
            _ => "",
        };
        return string.Create(CultureInfo.InvariantCulture, $"It answers {statusCode}{why}.");
    }

    private static bool IsOutOfQuota(ReadOnlySpan<byte> body) =>
        ErrorReader.ReadBody(body.ToArray()) is ServiceError error && RetryRules.IsFinal(error.Code);
}
