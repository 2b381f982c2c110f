namespace InferenceBatch.LocalServer;

/// <summary>The options for starting a local service.</summary>
internal sealed record ServerOptions
{
    public required string DataPath { get; init; }

    /// <summary>The port; 0 for any free one.</summary>
    public required int Port { get; init; }

    public required string Upstream { get; init; }

    /// <summary>Additional options of <c>inference-batch serve</c>.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>
    /// Secrets, by the option that names their environment variable. They are passed in the environment, never on the command line. Null
    /// values are omitted.
    /// </summary>
    public IReadOnlyDictionary<string, string?> Secrets { get; init; } = new Dictionary<string, string?>();
}
