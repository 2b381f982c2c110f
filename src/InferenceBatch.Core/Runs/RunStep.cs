using System.Text.Json.Serialization;
using InferenceBatch.Lines;

namespace InferenceBatch.Runs;

/// <summary>A line of a run's journal: a step that was done, or is about to be done. Fields that a step does not need are null.</summary>
/// <param name="Step">The kind of step.</param>
internal sealed record RunStep([property: JsonRequired] RunStepKind Step)
{
    /// <summary>The address of the service; with <see cref="RunStepKind.Began"/>.</summary>
    public string? Address { get; init; }

    /// <summary>The instance ID of a local service, see <see cref="RunService"/>; with <see cref="RunStepKind.Began"/>.</summary>
    public string? Instance { get; init; }

    /// <summary>The data folder of a local service; with <see cref="RunStepKind.Began"/>.</summary>
    public string? DataPath { get; init; }

    /// <summary>The attempt of the parts, counted from 1; with <see cref="RunStepKind.Spooled"/>.</summary>
    public int? Attempt { get; init; }

    /// <summary>The parts of an attempt, with their file names as paths; with <see cref="RunStepKind.Spooled"/>.</summary>
    public IReadOnlyList<FilePart>? Parts { get; init; }

    /// <summary>Whether equal requests are sent once; with <see cref="RunStepKind.Spooled"/> of the first attempt.</summary>
    public bool? Deduplicate { get; init; }

    /// <summary>True if the user asked for the attempt; with <see cref="RunStepKind.Spooled"/>, otherwise null.</summary>
    public bool? IsRetry { get; init; }

    /// <summary>The name of the part.</summary>
    public string? Part { get; init; }

    public string? FileId { get; init; }

    public string? BatchId { get; init; }

    /// <summary>The time of the step.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>The batch as the service last returned it; with <see cref="RunStepKind.Ended"/>.</summary>
    public string? Batch { get; init; }

    /// <summary>The size of the downloaded output file; with <see cref="RunStepKind.Downloaded"/>, null if there is none.</summary>
    public long? OutputBytes { get; init; }

    /// <summary>The size of the downloaded error file; with <see cref="RunStepKind.Downloaded"/>, null if there is none.</summary>
    public long? ErrorBytes { get; init; }
}

/// <summary>The steps of a run, in their order for a part. The names are part of the checkpoint format.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RunStepKind>))]
internal enum RunStepKind
{
    /// <summary>The folder belongs to a run at this service. A later step of this kind records a new address of the same service.</summary>
    Began,

    /// <summary>All requests of an attempt are on disk.</summary>
    Spooled,

    /// <summary>The service has the file of the part.</summary>
    Uploaded,

    /// <summary>A batch is about to be created from the file. If no step follows, the outcome is unknown, and a resumed run must look for the batch.</summary>
    Creating,

    Created,

    /// <summary>The create failed, or the batch failed because the queue is full. Another batch must be created from the same file.</summary>
    Postponed,

    /// <summary>The service no longer has the file. The part must be uploaded again.</summary>
    FileLost,

    Ended,

    /// <summary>The results of the batch are on disk.</summary>
    Downloaded,

    /// <summary>The run stopped early. Its open batches are cancelled, and a resumed run sends their requests again.</summary>
    Stopped,
}
