namespace InferenceBatch.Webhooks;

/// <summary>A request that gets no hearing.</summary>
/// <param name="status">The HTTP status that says so.</param>
internal sealed class WebhookRefusal(int status) : Exception
{
    public int Status { get; } = status;
}
