namespace InferenceBatch.Lines;

/// <summary>A request that no file can take; the requests before and after it are not concerned.</summary>
public sealed class RequestRefusedException(RefusalReason reason, string message) : Exception(message)
{
    public RefusalReason Reason { get; } = reason;
}
