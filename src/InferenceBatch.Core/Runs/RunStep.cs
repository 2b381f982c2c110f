using System.Text.Json.Serialization;
using InferenceBatch.Lines;

namespace InferenceBatch.Runs;

/// <summary>One line of a run's journal: a step that is about to be done, or was. What a kind of step does not need is null.</summary>
/// <param name="Step">What kind of step.</param>
internal sealed record RunStep([property: JsonRequired] RunStepKind Step)
{
    /// <summary>The service's address; with <see cref="RunStepKind.Began"/>.</summary>
    public string? Address { get; init; }

    /// <summary>The identity of a local service, see <see cref="RunService"/>; with <see cref="RunStepKind.Began"/>.</summary>
    public string? Instance { get; init; }

    /// <summary>The data folder of a local service; with <see cref="RunStepKind.Began"/>.</summary>
    public string? DataPath { get; init; }

    /// <summary>Which attempt the parts are of, counted from 1; with <see cref="RunStepKind.Spooled"/>.</summary>
    public int? Attempt { get; init; }

    /// <summary>The parts of an attempt, their paths as names within the folder; with <see cref="RunStepKind.Spooled"/>.</summary>
    public IReadOnlyList<FilePart>? Parts { get; init; }

    /// <summary>Whether equal requests are sent once; with <see cref="RunStepKind.Spooled"/> of the first attempt.</summary>
    public bool? Deduplicate { get; init; }

    /// <summary>True where a person asked for the attempt; with <see cref="RunStepKind.Spooled"/>, else null.</summary>
    public bool? IsRetry { get; init; }

    /// <summary>The part concerned, by its name.</summary>
    public string? Part { get; init; }

    public string? FileId { get; init; }

    public string? BatchId { get; init; }

    /// <summary>When it was.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>The batch object as the service last gave it; with <see cref="RunStepKind.Ended"/>.</summary>
    public string? Batch { get; init; }

    /// <summary>The size of the output as it was fetched; with <see cref="RunStepKind.Downloaded"/>, null where there is none.</summary>
    public long? OutputBytes { get; init; }

    /// <summary>The size of the error file, likewise.</summary>
    public long? ErrorBytes { get; init; }
}

/// <summary>The steps of a run, in the order they come in for one part.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RunStepKind>))]
internal enum RunStepKind
{
    /// <summary>The folder belongs to a run against this service; a later one says where the same service is by then.</summary>
    Began,

    /// <summary>All requests of an attempt are on disk.</summary>
    Spooled,

    /// <summary>The service holds a part as a file.</summary>
    Uploaded,

    /// <summary>A batch is about to be created from the file: whether it was must be asked for when nothing follows.</summary>
    Creating,

    Created,

    /// <summary>No batch came of it, or one that failed for want of room: another is to be created from the same file.</summary>
    Postponed,

    /// <summary>The service no longer has the file: it is to be sent again, and a batch to be created from it.</summary>
    FileLost,

    Ended,

    /// <summary>The results of the batch are on disk.</summary>
    Downloaded,

    /// <summary>The run stopped early: the batches that had not ended are cancelled, and their requests are sent again when the run is resumed.</summary>
    Stopped,
}
