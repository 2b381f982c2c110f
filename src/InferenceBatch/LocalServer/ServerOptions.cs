namespace InferenceBatch.LocalServer;

/// <summary>What a local service is started with.</summary>
internal sealed record ServerOptions
{
    public required string DataPath { get; init; }

    /// <summary>0 for any that is free.</summary>
    public required int Port { get; init; }

    public required string Upstream { get; init; }

    /// <summary>Further options of <c>inference-batch serve</c>, as they are.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>What stands in the process's environment, never on its command line: by the option that names the variable; null values are left out.</summary>
    public IReadOnlyDictionary<string, string?> Secrets { get; init; } = new Dictionary<string, string?>();
}
