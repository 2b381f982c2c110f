namespace InferenceBatch.Model;

/// <summary>A file at the service: the input of a batch, or its output or error file.</summary>
public sealed record BatchFile
{
    public required string Id { get; init; }

    /// <summary>The ID, under the name of New-Batch's parameter, so that a file can be piped to it.</summary>
    public string InputFileId => Id;

    public string? FileName { get; init; }

    /// <summary>The size in bytes; null if the service gives none and the file was not sent by this process.</summary>
    public long? Bytes { get; init; }

    public string? Purpose { get; init; }

    public string? Status { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The endpoint of all lines; known only if the file was validated before it was sent.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The number of requests; known only if the file was validated before it was sent.</summary>
    public long? RequestCount { get; init; }

    /// <summary>The local file that was sent; null if the requests came from the pipeline, or the file was not sent by this process.</summary>
    public string? Path { get; init; }

    /// <summary>The service's JSON, including unknown fields. API keys are masked.</summary>
    public string Json { get; init; } = "";

    public override string ToString() => Id;
}
