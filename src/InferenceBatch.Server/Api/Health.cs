namespace InferenceBatch.Server.Api;

/// <summary>How the service is.</summary>
/// <param name="Status"><c>ready</c>; <c>degraded</c>: batches are taken, and wait for the upstream; <c>not_ready</c>; <c>stopping</c>.</param>
/// <param name="Reasons">What is wrong, for people; empty when nothing is.</param>
internal sealed record Health(string Status, params IReadOnlyList<string> Reasons)
{
    public bool IsReady => Status is "ready" or "degraded";
}
