namespace InferenceBatch.Results;

/// <summary>How often one error code came back.</summary>
/// <param name="Code">The service's word, see <see cref="Model.ServiceError"/>.</param>
/// <param name="Count">Failed results with it.</param>
/// <param name="Message">What the first of them said.</param>
public sealed record FailureCount(string Code, long Count, string Message)
{
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Count:N0} {Code}");
}
