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
    private const string HttpPrefix = "http_";

    /// <summary>Whether the code names a cause. False if it only says that there was an error, or only repeats the HTTP status.</summary>
    internal bool HasCause => Code is not ("error" or "upstream_error") && StatusInCode is null;

    private int? StatusInCode => int.TryParse(
        Code.StartsWith(HttpPrefix, StringComparison.Ordinal) ? Code.AsSpan(HttpPrefix.Length) : Code.AsSpan(), NumberStyles.None, CultureInfo.InvariantCulture, out int status)
        && status is >= 100 and <= 599 ? status : null;

    /// <summary>
    /// Returns the code with the HTTP status of the response: <c>server_error (HTTP 500)</c>. If the code names no cause,
    /// returns the status with its phrase instead: <c>404 Not Found</c>.
    /// </summary>
    /// <param name="statusCode">The status. It is omitted if it is null, below 400 or part of the code.</param>
    public string CodeWithStatus(int? statusCode)
    {
        int? status = statusCode is >= 400 ? statusCode : null;
        if (!HasCause)
        {
            int? named = StatusInCode ?? status;
            return named is null ? Code : HttpPhrase.Of(named.Value) + (status is null || status == named ? "" : Suffix(status.Value));
        }

        return status is { } some && !Code.Contains(some.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal) ? Code + Suffix(some) : Code;
    }

    /// <summary>Returns the error as text with its HTTP status; see <see cref="CodeWithStatus"/>.</summary>
    public string ToString(int? statusCode)
    {
        string code = CodeWithStatus(statusCode);
        // A message that only repeats the status adds nothing.
        bool isRepeated = !HasCause && Message.Length > 0 && code.Contains(Message.TrimEnd('.'), StringComparison.OrdinalIgnoreCase);
        return (this with { Code = code, Message = isRepeated ? "" : Message }).ToString();
    }

    public override string ToString() => (Line, Message) switch
    {
        (null, "") => Code,
        (null, _) => $"{Code}: {Message}",
        (_, "") => $"line {Line}: {Code}",
        _ => $"line {Line}: {Code}: {Message}",
    };

    private static string Suffix(int status) => string.Create(CultureInfo.InvariantCulture, $" (HTTP {status})");
}
