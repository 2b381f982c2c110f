using System.Globalization;

namespace InferenceBatch.Model;

/// <summary>How often a local service sent lines again, by reason: <c>retries</c> in a batch's statistics.</summary>
/// <param name="RateLimit">429.</param>
/// <param name="ServerError">5xx, 409, or a body that is not an answer.</param>
/// <param name="Timeout">No whole answer in time, or 408.</param>
/// <param name="Connection">No connection, or one that broke.</param>
/// <param name="Refused">401, 402, 403, or a quota that is used up.</param>
public sealed record RetryCounts(long RateLimit, long ServerError, long Timeout, long Connection, long Refused)
{
    /// <summary>All of them.</summary>
    public long Total => RateLimit + ServerError + Timeout + Connection + Refused;

    /// <summary>Adds two counts.</summary>
    public static RetryCounts operator +(RetryCounts a, RetryCounts b) => new(
        a.RateLimit + b.RateLimit, a.ServerError + b.ServerError, a.Timeout + b.Timeout, a.Connection + b.Connection, a.Refused + b.Refused);

    /// <summary>Such as <c>14 retries (429: 12, timeout: 2)</c>; empty when there was none.</summary>
    public override string ToString()
    {
        (string Word, long Count)[] all = [("429", RateLimit), ("5xx", ServerError), ("timeout", Timeout), ("connection", Connection), ("refused", Refused)];
        return Total == 0 ? "" : PluralFormat.Invariant($"{Total:N0} {Total:retry|retries} (")
            + string.Join(", ", all.Where(one => one.Count > 0).Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Word}: {one.Count:N0}"))) + ")";
    }
}
