using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>Reads the <c>retries</c> of a local service's batch statistics. A missing count is 0.</summary>
public static class RetryCountsReader
{
    /// <summary>Reads the object with the counts.</summary>
    public static RetryCounts Read(JsonElement json) => new(
        Count(json, "rate_limit"), Count(json, "server_error"), Count(json, "timeout"), Count(json, "connection"), Count(json, "refused"));

    private static long Count(JsonElement json, string name) => json.ValueKind == JsonValueKind.Object ? json.Field(name).Integer() ?? 0 : 0;
}
