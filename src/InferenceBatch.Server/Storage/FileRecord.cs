using InferenceBatch.Model;

namespace InferenceBatch.Server.Storage;

/// <summary>The record of a stored file.</summary>
internal sealed record FileRecord
{
    public required string Id { get; init; }

    /// <summary>The owner: see <c>ApiKeys</c>; "" if no keys are configured.</summary>
    public required string Owner { get; init; }

    public required string Name { get; init; }

    public required string Purpose { get; init; }

    public required long Bytes { get; init; }

    /// <summary>The number of lines; only known for result files.</summary>
    public long? Lines { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public BatchFile ToFile() => new()
    {
        Id = Id,
        FileName = Name,
        Purpose = Purpose,
        Bytes = Bytes,
        CreatedAt = CreatedAt,
        ExpiresAt = ExpiresAt,
        Status = "processed",
    };
}
