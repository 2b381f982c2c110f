using System.Globalization;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>The number of failed results with an error code.</summary>
/// <param name="Code">The error code; see <see cref="ServiceError"/>.</param>
/// <param name="Count">The number of failed results.</param>
/// <param name="Message">The message of the first of them.</param>
/// <param name="StatusCode">The HTTP status of the first of them; null if it has none.</param>
public sealed record FailureCount(string Code, long Count, string Message, int? StatusCode = null)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Count:N0} {new ServiceError(Code, Message).CodeWithStatus(StatusCode)}");
}
