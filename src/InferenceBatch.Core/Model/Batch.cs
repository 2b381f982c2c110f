namespace InferenceBatch.Model;

/// <summary>
/// A batch as the service last described it. This is a snapshot that does not update itself. The properties are those of the
/// Batch API's batch object; times that the service omits are null. Read by <see cref="Wire.BatchReader"/>.
/// </summary>
public sealed class Batch
{
    public required string Id { get; init; }

    public BatchStatus Status { get; init; }

    /// <summary>The status in the service's own word.</summary>
    public string RawStatus { get; init; } = "";

    /// <summary>Whether the batch has ended and will not change any more.</summary>
    public bool IsFinished =>
        Status is BatchStatus.Completed or BatchStatus.Failed or BatchStatus.Expired or BatchStatus.Cancelled;

    public string? Endpoint { get; init; }

    public string? Model { get; init; }

    public string? InputFileId { get; init; }

    public string? OutputFileId { get; init; }

    public string? ErrorFileId { get; init; }

    public string? CompletionWindow { get; init; }

    public RequestCounts RequestCounts { get; init; } = RequestCounts.None;

    /// <summary>Why the whole batch failed, usually one entry per invalid input line; empty if there are no errors.</summary>
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

    /// <summary>When the batch ended, with any status; null while it runs, or if the service gives no time.</summary>
    public DateTimeOffset? FinishedAt => IsFinished ? CompletedAt ?? FailedAt ?? ExpiredAt ?? CancelledAt : null;

    /// <summary>The time from creation to the end, or until now while the batch runs; null if the service gives no times.</summary>
    public TimeSpan? Elapsed =>
        CreatedAt is not { } start ? null
        : FinishedAt is { } end ? end - start
        : IsFinished ? null
        : DateTimeOffset.UtcNow - start;

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    public TokenUsage? Usage { get; init; }

    /// <summary>The service's JSON, including unknown fields. API keys are masked.</summary>
    public string Json { get; init; } = "";

    public override string ToString() => Id;
}
