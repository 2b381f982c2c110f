namespace InferenceBatch.Webhooks;

/// <summary>A request that the listener refuses.</summary>
/// <param name="status">The HTTP status of the response.</param>
internal sealed class WebhookRequestException(int status) : Exception
{
    public int Status { get; } = status;
}
