namespace InferenceBatch.Server.Webhooks;

/// <summary>Webhooks may not go to this host. The message contains the host, but no secret part of the address.</summary>
internal sealed class WebhookTargetException(string message) : Exception(message);
