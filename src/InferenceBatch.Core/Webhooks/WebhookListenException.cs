namespace InferenceBatch.Webhooks;

/// <summary>The listener cannot start: the port is in use, or this user may not use it.</summary>
public sealed class WebhookListenException(string message, Exception inner) : IOException(message, inner);
