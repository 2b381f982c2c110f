using System.Net;
using InferenceBatch.Server.Webhooks;

namespace InferenceBatch.Server.Api;

/// <summary>What the service is started with.</summary>
internal sealed record ServiceSettings
{
    /// <summary>Where it listens; port 0 takes a free one.</summary>
    public IReadOnlyList<IPEndPoint> Addresses { get; init; } = [new(IPAddress.Loopback, 8421)];

    public required string DataPath { get; init; }

    /// <summary>As <see cref="Dispatch.Upstreams.UpstreamAddress"/> reads it.</summary>
    public string Upstream { get; init; } = "echo";

    public string? UpstreamKey { get; init; }

    /// <summary>Keys that callers must have one of; none for no check.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>False syncs nothing to the disk: it shows what durability costs, and a power cut loses results.</summary>
    public bool IsDurable { get; init; } = true;

    public ConnectionLimits Connections { get; init; } = new();

    public EngineSettings Engine { get; init; } = new();

    public WebhookSettings Webhooks { get; init; } = new();
}
