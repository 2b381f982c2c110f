using InferenceBatch.Model;

namespace InferenceBatch.Server.Storage;

/// <summary>The record of a batch. Counts and usage are the final ones; the current ones of a running batch are in its run.</summary>
internal sealed record BatchRecord
{
    public required string Id { get; init; }

    /// <summary>The owner: see <c>ApiKeys</c>; "" if no keys are configured.</summary>
    public required string Owner { get; init; }

    public required string Endpoint { get; init; }

    public required string InputFileId { get; init; }

    public required string CompletionWindow { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    public string? WebhookUrl { get; init; }

    /// <summary>How long the result files are kept; null for no limit.</summary>
    public TimeSpan? OutputExpiresAfter { get; init; }

    public required BatchStatus Status { get; init; }

    /// <summary>The status that a finalizing batch will get: completed or expired. It is stored, so that finalizing can be repeated.</summary>
    public BatchStatus Outcome { get; init; }

    public string? Model { get; init; }

    public IReadOnlyList<ServiceError> Errors { get; init; } = [];

    /// <summary>The file ID is chosen when the batch starts. After the end it is null if the file does not exist.</summary>
    public string? OutputFileId { get; init; }

    /// <inheritdoc cref="OutputFileId"/>
    public string? ErrorFileId { get; init; }

    public RequestCounts Counts { get; init; } = RequestCounts.None;

    public TokenUsage? Usage { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset ExpiresAt { get; init; }

    public DateTimeOffset? InProgressAt { get; init; }

    public DateTimeOffset? FinalizingAt { get; init; }

    public DateTimeOffset? CompletedAt { get; init; }

    public DateTimeOffset? FailedAt { get; init; }

    public DateTimeOffset? ExpiredAt { get; init; }

    public DateTimeOffset? CancellingAt { get; init; }

    public DateTimeOffset? CancelledAt { get; init; }

    /// <summary>The latest time of the batch so far.</summary>
    public DateTimeOffset LatestAt => new[] { InProgressAt, FinalizingAt, CancellingAt }.Max() is { } latest && latest > CreatedAt ? latest : CreatedAt;

    public bool IsFinished =>
        Status is BatchStatus.Completed or BatchStatus.Failed or BatchStatus.Expired or BatchStatus.Cancelled;

    public Batch ToBatch() => new()
    {
        Id = Id,
        Endpoint = Endpoint,
        InputFileId = InputFileId,
        CompletionWindow = CompletionWindow,
        Metadata = Metadata,
        Status = Status,
        Model = Model,
        Errors = Errors,
        OutputFileId = OutputFileId,
        ErrorFileId = ErrorFileId,
        RequestCounts = Counts,
        Usage = Usage,
        CreatedAt = CreatedAt,
        ExpiresAt = ExpiresAt,
        InProgressAt = InProgressAt,
        FinalizingAt = FinalizingAt,
        CompletedAt = CompletedAt,
        FailedAt = FailedAt,
        ExpiredAt = ExpiredAt,
        CancellingAt = CancellingAt,
        CancelledAt = CancelledAt,
    };
}
