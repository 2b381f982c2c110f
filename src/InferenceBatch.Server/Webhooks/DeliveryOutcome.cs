namespace InferenceBatch.Server.Webhooks;

/// <summary>The outcome of one attempt to deliver an event.</summary>
/// <param name="IsFinal">Whether the event is not retried: the receiver accepted it, or answered 410.</param>
/// <param name="Failure">The reason why it was not accepted; null if it was.</param>
internal readonly record struct DeliveryOutcome(bool IsFinal, string? Failure)
{
    public static DeliveryOutcome Accepted => new(true, null);

    public static DeliveryOutcome Failed(string failure) => new(false, failure);
}
