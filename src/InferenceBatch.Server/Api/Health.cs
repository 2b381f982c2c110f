using InferenceBatch.Server.Diagnostics;

namespace InferenceBatch.Server.Api;

/// <summary>The health of the service.</summary>
/// <param name="Status"><c>ready</c>; <c>degraded</c> (batches are accepted, but wait); <c>not_ready</c>; <c>stopping</c>.</param>
/// <param name="Issues">The current issues, one of each kind; may be empty.</param>
internal sealed record Health(string Status, params IReadOnlyList<HealthIssue> Issues)
{
    public bool IsReady => Status is "ready" or "degraded";
}
