namespace InferenceBatch.Model;

/// <summary>A file the service holds: the input of a batch, or the output or error file it wrote.</summary>
public sealed record BatchFile
{
    public required string Id { get; init; }

    /// <summary>The id again, under the name New-Batch takes it by.</summary>
    public string InputFileId => Id;

    public string? FileName { get; init; }

    /// <summary>Size in bytes; null where the service did not say and the file was not sent from here.</summary>
    public long? Bytes { get; init; }

    public string? Purpose { get; init; }

    public string? Status { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The endpoint all lines name, known for a file that was validated here before it was sent.</summary>
    public string? Endpoint { get; init; }

    /// <summary>Requests in the file, known for a file that was validated here before it was sent.</summary>
    public long? RequestCount { get; init; }

    /// <summary>The local file it was sent from; null for one that was spooled from the pipeline.</summary>
    public string? Path { get; init; }

    /// <summary>The service's answer as it came, unknown fields included; an API key in it is masked.</summary>
    public string Json { get; init; } = "";

    public override string ToString() => Id;
}
