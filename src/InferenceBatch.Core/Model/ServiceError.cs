using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>
/// What a service said went wrong, wherever it put it: the body of an HTTP answer, an entry of a batch's
/// <c>errors.data</c>, the <c>error</c> of a result line or the body of a line's failed response.
/// </summary>
/// <param name="Code">The service's own word, such as <c>rate_limit_exceeded</c>; never null, at worst <c>error</c>.</param>
/// <param name="Message">The service's sentence; may be empty.</param>
/// <param name="Param">The field it speaks of, where it said so.</param>
/// <param name="Line">The input line it speaks of, counted from 1, where it said so.</param>
public sealed record ServiceError(string Code, string Message, string? Param = null, int? Line = null)
{
    /// <summary>The code, with the HTTP status that it came with beside it: <c>server_error (HTTP 500)</c>.</summary>
    /// <param name="statusCode">The status; null, or below 400, where there is none to show.</param>
    public string CodeWithStatus(int? statusCode) =>
        statusCode is >= 400 and { } status && !Code.Contains(status.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"{Code} (HTTP {status})") : Code;

    /// <summary>The error on one line, with its HTTP status; see <see cref="CodeWithStatus"/>.</summary>
    public string ToString(int? statusCode) => (this with { Code = CodeWithStatus(statusCode) }).ToString();

    public override string ToString() => (Line, Message) switch
    {
        (null, "") => Code,
        (null, _) => $"{Code}: {Message}",
        _ => $"line {Line}: {Code}: {Message}",
    };
}
