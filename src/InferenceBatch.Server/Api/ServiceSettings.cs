using System.Net;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Webhooks;

namespace InferenceBatch.Server.Api;

/// <summary>The settings of the service.</summary>
internal sealed record ServiceSettings
{
    /// <summary>The addresses to listen on; port 0 selects a free port.</summary>
    public IReadOnlyList<IPEndPoint> Addresses { get; init; } = [new(IPAddress.Loopback, 8421)];

    public required string DataPath { get; init; }

    /// <summary>The upstream, in the format of <see cref="UpstreamAddress"/>.</summary>
    public string Upstream { get; init; } = UpstreamAddress.Echo;

    public string? UpstreamKey { get; init; }

    /// <summary>The keys of which callers must send one; if empty, no key is required.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>Whether data is synced to disk. False is for benchmarks of this cost; a power cut then loses results.</summary>
    public bool IsDurable { get; init; } = true;

    public ConnectionLimits Connections { get; init; } = new();

    public EngineSettings Engine { get; init; } = new();

    public WebhookSettings Webhooks { get; init; } = new();
}
