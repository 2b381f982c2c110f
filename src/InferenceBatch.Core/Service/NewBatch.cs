namespace InferenceBatch.Service;

/// <summary>What a batch is created from.</summary>
public sealed record NewBatch
{
    public required string InputFileId { get; init; }

    public required string Endpoint { get; init; }

    /// <summary>
    /// Set where the file was sent for this batch alone: any batch made of it is then this one, whatever the service's
    /// clock says.
    /// </summary>
    public bool IsOnlyBatchOfFile { get; init; }

    /// <summary>
    /// When this process sent the file, as a time stamp of the client's clock; null when another one did, or long ago. For
    /// five minutes after that, a service that does not find the file is asked again.
    /// </summary>
    public long? FileSentAt { get; init; }

    /// <summary>How long the service may take, in the service's own words; the documents know <c>24h</c>.</summary>
    public string CompletionWindow { get; init; } = "24h";

    /// <summary>Up to 16 pairs, keys up to 64 and values up to 512 characters.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Called once when the batch has ended; https.</summary>
    public Uri? WebhookUrl { get; init; }

    /// <summary>Seconds after the batch's creation at which its files may go, 3600 to 2592000.</summary>
    public int? OutputExpiresAfter { get; init; }
}
