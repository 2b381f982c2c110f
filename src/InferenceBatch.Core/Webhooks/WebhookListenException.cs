namespace InferenceBatch.Webhooks;

/// <summary>Nothing can be listened to at the address that was given: the port is in use, or is not this user's to take.</summary>
public sealed class WebhookListenException(string message, Exception inner) : IOException(message, inner);
