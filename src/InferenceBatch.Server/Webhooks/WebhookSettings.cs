namespace InferenceBatch.Server.Webhooks;

/// <summary>The settings for webhooks.</summary>
internal sealed record WebhookSettings
{
    /// <summary>Standard Webhooks secrets. An event has a signature for each, so that a secret can be rotated. If empty, events are not signed.</summary>
    public IReadOnlyList<string> Secrets { get; init; } = [];

    /// <summary>Whether http addresses, this machine and private networks are allowed.</summary>
    public bool AllowInsecure { get; init; }
}
