using System.Globalization;
using System.Text.Json;
using InferenceBatch.Server.Execution.Upstreams;

namespace InferenceBatch.Server.Execution;

/// <summary>How often lines were sent again, by reason.</summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class RetryTally
{
    private static readonly (RetryReason Reason, string Name, string Text)[] s_reasons =
    [
        (RetryReason.RateLimit, "rate_limit", "429"),
        (RetryReason.ServerError, "server_error", "5xx"),
        (RetryReason.Timeout, "timeout", "timeout"),
        (RetryReason.Connection, "connection", "connection"),
        (RetryReason.Refused, "refused", "refused"),
    ];

    private readonly long[] _counts = new long[s_reasons.Length];

    public void Add(RetryReason reason) => _counts[(int)reason]++;

    /// <summary>Adds what <see cref="Write"/> wrote.</summary>
    public void Add(JsonElement json)
    {
        foreach ((RetryReason reason, string name, _) in s_reasons)
        {
            _counts[(int)reason] += json.TryGetProperty(name, out JsonElement count) ? count.GetInt64() : 0;
        }
    }

    public void Write(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject(name);
        foreach ((RetryReason reason, string field, _) in s_reasons)
        {
            json.WriteNumber(field, _counts[(int)reason]);
        }

        json.WriteEndObject();
    }

    /// <summary>Such as <c>14 retries (429: 12, timeout: 2)</c>; empty when there was none.</summary>
    public override string ToString()
    {
        long all = _counts.Sum();
        return all == 0 ? "" : Model.PluralFormat.Invariant($"{all:N0} {all:retry|retries} (")
            + string.Join(", ", s_reasons.Where(one => _counts[(int)one.Reason] > 0)
                .Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Text}: {_counts[(int)one.Reason]:N0}"))) + ")";
    }
}
