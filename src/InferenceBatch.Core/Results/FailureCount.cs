using System.Globalization;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>How often one error code came back.</summary>
/// <param name="Code">The service's word, see <see cref="ServiceError"/>.</param>
/// <param name="Count">Failed results with it.</param>
/// <param name="Message">What the first of them said.</param>
/// <param name="StatusCode">The HTTP status of the first of them; null where it had none.</param>
public sealed record FailureCount(string Code, long Count, string Message, int? StatusCode = null)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Count:N0} {new ServiceError(Code, Message).CodeWithStatus(StatusCode)}");
}
