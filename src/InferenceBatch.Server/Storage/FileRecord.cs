using InferenceBatch.Model;

namespace InferenceBatch.Server.Storage;

/// <summary>What the service knows of a file it holds.</summary>
internal sealed record FileRecord
{
    public required string Id { get; init; }

    /// <summary>Whose it is: see <c>ApiKeys</c>; "" where no keys are configured.</summary>
    public required string Owner { get; init; }

    public required string Name { get; init; }

    public required string Purpose { get; init; }

    public required long Bytes { get; init; }

    /// <summary>Lines in it, known for result files.</summary>
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
