using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>
/// An error that a service reported: in the body of an HTTP response, in <c>errors.data</c> of a batch, in the <c>error</c>
/// of a result line, or in the body of a failed response in a line.
/// </summary>
/// <param name="Code">The service's code, such as <c>rate_limit_exceeded</c>; <c>error</c> if it gives none.</param>
/// <param name="Message">The service's message; may be empty.</param>
/// <param name="Param">The invalid field, if the service names one.</param>
/// <param name="Line">The invalid input line, counted from 1, if the service names one.</param>
public sealed record ServiceError(string Code, string Message, string? Param = null, int? Line = null)
{
    /// <summary>Returns the code with the HTTP status of the response: <c>server_error (HTTP 500)</c>.</summary>
    /// <param name="statusCode">The status. It is omitted if it is null, below 400 or part of the code.</param>
    public string CodeWithStatus(int? statusCode) =>
        statusCode is >= 400 and { } status && !Code.Contains(status.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"{Code} (HTTP {status})") : Code;

    /// <summary>Returns the error as text with its HTTP status; see <see cref="CodeWithStatus"/>.</summary>
    public string ToString(int? statusCode) => (this with { Code = CodeWithStatus(statusCode) }).ToString();

    public override string ToString() => (Line, Message) switch
    {
        (null, "") => Code,
        (null, _) => $"{Code}: {Message}",
        _ => $"line {Line}: {Code}: {Message}",
    };
}
