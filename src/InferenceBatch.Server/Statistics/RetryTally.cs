using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Statistics;

/// <summary>Counts the retries of lines by reason.</summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class RetryTally
{
    public RetryCounts Counts { get; private set; } = new(0, 0, 0, 0, 0);

    public void Add(RetryReason reason) => Counts = reason switch
    {
        RetryReason.RateLimit => Counts with { RateLimit = Counts.RateLimit + 1 },
        RetryReason.Timeout => Counts with { Timeout = Counts.Timeout + 1 },
        RetryReason.Connection => Counts with { Connection = Counts.Connection + 1 },
        RetryReason.Refused => Counts with { Refused = Counts.Refused + 1 },
        _ => Counts with { ServerError = Counts.ServerError + 1 },
    };

    /// <summary>Adds counts that <see cref="Write"/> wrote.</summary>
    public void Add(JsonElement json) => Counts += RetryCountsReader.Read(json);

    public void Write(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject(name);
        json.WriteNumber("rate_limit", Counts.RateLimit);
        json.WriteNumber("server_error", Counts.ServerError);
        json.WriteNumber("timeout", Counts.Timeout);
        json.WriteNumber("connection", Counts.Connection);
        json.WriteNumber("refused", Counts.Refused);
        json.WriteEndObject();
    }
}
