
using InferenceBatch.Server.Diagnostics;

namespace InferenceBatch.Server.Api;

/// <summary>How the service is.</summary>
/// <param name="Status"><c>ready</c>; <c>degraded</c>: batches are taken, and wait; <c>not_ready</c>; <c>stopping</c>.</param>
/// <param name="Issues">What is wrong, one of a kind; empty when nothing is.</param>
internal sealed record Health(string Status, params IReadOnlyList<HealthIssue> Issues)
{
    public bool IsReady => Status is "ready" or "degraded";
}
