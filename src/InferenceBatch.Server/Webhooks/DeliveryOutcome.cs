namespace InferenceBatch.Server.Webhooks;

/// <summary>What became of one attempt to deliver an event.</summary>
/// <param name="IsOver">Whether nothing more is to be sent: it was taken, or the receiver wants none (410).</param>
/// <param name="Failure">Why it was not taken; null where it was.</param>
internal readonly record struct DeliveryOutcome(bool IsOver, string? Failure)
{
    public static DeliveryOutcome Taken => new(true, null);

    public static DeliveryOutcome Failed(string failure) => new(false, failure);
}
