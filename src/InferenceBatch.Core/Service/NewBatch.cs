namespace InferenceBatch.Service;

/// <summary>The parameters of a new batch.</summary>
public sealed record NewBatch
{
    public required string InputFileId { get; init; }

    public required string Endpoint { get; init; }

    /// <summary>
    /// Whether the file was uploaded for this batch only. Any batch with this file is then this batch, whatever the service's
    /// clock says.
    /// </summary>
    public bool IsOnlyBatchOfFile { get; init; }

    /// <summary>
    /// When this process uploaded the file, as a timestamp of the client's clock; null if another process did, or if it was
    /// long ago. If the service does not find the file, the create is retried for five minutes after the upload.
    /// </summary>
    public long? FileSentAt { get; init; }

    /// <summary>How long the batch may take, in the format of the service. The documented value is <c>24h</c>.</summary>
    public string CompletionWindow { get; init; } = "24h";

    /// <summary>Up to 16 pairs, with keys of up to 64 and values of up to 512 characters.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>The https address that the service calls once when the batch has ended.</summary>
    public Uri? WebhookUrl { get; init; }

    /// <summary>The seconds from the creation of the batch until its files expire, 3600 to 2592000.</summary>
    public int? OutputExpiresAfter { get; init; }
}
