namespace InferenceBatch.Server.Webhooks;

/// <summary>A webhook would go where none may; the message names the host, and nothing secret of the address.</summary>
internal sealed class WebhookTargetException(string message) : Exception(message);
