using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>The number of retries of a local service by reason: <c>retries</c> in a batch's statistics.</summary>
/// <param name="RateLimit">429.</param>
/// <param name="ServerError">5xx, 409, or a body that is not an answer.</param>
/// <param name="Timeout">No complete response in time, or 408.</param>
/// <param name="Connection">No connection, or a broken one.</param>
/// <param name="Refused">401, 402, 403, or a quota that is used up.</param>
public sealed record RetryCounts(long RateLimit, long ServerError, long Timeout, long Connection, long Refused)
{
    /// <summary>The sum of all counts.</summary>
    public long Total => RateLimit + ServerError + Timeout + Connection + Refused;

    /// <summary>Adds two counts.</summary>
    public static RetryCounts operator +(RetryCounts a, RetryCounts b) => new(
        a.RateLimit + b.RateLimit, a.ServerError + b.ServerError, a.Timeout + b.Timeout, a.Connection + b.Connection, a.Refused + b.Refused);

    /// <summary>A text such as <c>14 retries (429: 12, timeout: 2)</c>; empty if there are no retries.</summary>
    public override string ToString()
    {
        (string Reason, long Count)[] counts = [("429", RateLimit), ("5xx", ServerError), ("timeout", Timeout), ("connection", Connection), ("refused", Refused)];
        return Total == 0 ? "" : PluralFormat.Invariant($"{Total:N0} {Total:retry|retries} (")
            + string.Join(", ", counts.Where(entry => entry.Count > 0).Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Reason}: {entry.Count:N0}"))) + ")";
    }
}
