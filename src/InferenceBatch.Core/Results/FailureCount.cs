using System.Globalization;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>The number of failed results with an error code.</summary>
/// <param name="Code">The error code; see <see cref="ServiceError"/>.</param>
/// <param name="Count">The number of failed results.</param>
/// <param name="Message">The message of the first of them.</param>
/// <param name="StatusCode">The HTTP status of the first of them; null if it has none.</param>
public sealed record FailureCount(string Code, long Count, string Message, int? StatusCode = null)
{
    private const int LongestCode = 30;
    private const int LongestMessage = 60;

    /// <summary>
    /// The reason on one line: the code with the HTTP status, or only the status with its phrase if the code names no cause
    /// (<c>404 Not Found</c>). If there is neither, the start of the message follows.
    /// </summary>
    internal string Reason => !Error.HasCause && Message.Length > 0 && CodeAndStatus == Error.Code
        ? $"{Error.Code}: {PlainText.OneLine(Message, LongestMessage)}" : CodeAndStatus;

    private string CodeAndStatus => Error.CodeWithStatus(StatusCode);

    private ServiceError Error => new(PlainText.OneLine(Code, LongestCode), "");

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Count:N0} {Reason}");
}
