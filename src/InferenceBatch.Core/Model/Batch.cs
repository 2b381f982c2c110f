namespace InferenceBatch.Model;

/// <summary>
/// A batch as the service last described it (a snapshot: ask again for news). Fields follow the Batch API's batch
/// object; a time or count that the service left out is null. Read by <see cref="Wire.BatchReader"/>.
/// </summary>
public sealed class Batch
{
    public required string Id { get; init; }

    public BatchStatus Status { get; init; }

    /// <summary>The status word as the service wrote it.</summary>
    public string RawStatus { get; init; } = "";

    /// <summary>Whether the batch will not change any more.</summary>
    public bool IsFinished =>
        Status is BatchStatus.Completed or BatchStatus.Failed or BatchStatus.Expired or BatchStatus.Cancelled;

    public string? Endpoint { get; init; }

    public string? Model { get; init; }

    public string? InputFileId { get; init; }

    public string? OutputFileId { get; init; }

    public string? ErrorFileId { get; init; }

    public string? CompletionWindow { get; init; }

    public RequestCounts RequestCounts { get; init; } = RequestCounts.None;

    /// <summary>Why the batch as a whole failed, usually one entry a bad input line; empty when nothing is wrong.</summary>
    public IReadOnlyList<ServiceError> Errors { get; init; } = [];

    public DateTimeOffset? CreatedAt { get; init; }

    public DateTimeOffset? InProgressAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? FinalizingAt { get; init; }

    public DateTimeOffset? CompletedAt { get; init; }

    public DateTimeOffset? FailedAt { get; init; }

    public DateTimeOffset? ExpiredAt { get; init; }

    public DateTimeOffset? CancellingAt { get; init; }

    public DateTimeOffset? CancelledAt { get; init; }

    /// <summary>When the batch ended, however it ended; null while it runs or when the service did not say.</summary>
    public DateTimeOffset? FinishedAt => IsFinished ? CompletedAt ?? FailedAt ?? ExpiredAt ?? CancelledAt : null;

    /// <summary>From creation to the end, or to now while it runs; null when the service gave no times.</summary>
    public TimeSpan? Elapsed =>
        CreatedAt is not { } start ? null
        : FinishedAt is { } end ? end - start
        : IsFinished ? null
        : DateTimeOffset.UtcNow - start;

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    public TokenUsage? Usage { get; init; }

    /// <summary>The service's answer as it came, unknown fields included; an API key in it is masked.</summary>
    public string Json { get; init; } = "";

    public override string ToString() => Id;
}
