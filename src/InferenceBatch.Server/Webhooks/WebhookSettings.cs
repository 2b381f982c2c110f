namespace InferenceBatch.Server.Webhooks;

/// <summary>How webhooks are sent.</summary>
internal sealed record WebhookSettings
{
    /// <summary>Standard Webhooks secrets; each signs, so that one can be changed for another. None: nothing is signed.</summary>
    public IReadOnlyList<string> Secrets { get; init; } = [];

    /// <summary>Whether plain http and addresses of this machine and its networks are allowed too.</summary>
    public bool AllowInsecure { get; init; }
}
