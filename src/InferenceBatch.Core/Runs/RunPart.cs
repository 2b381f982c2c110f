using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>How far one part of a run has come. Changed by the steps of the journal alone; see <see cref="RunStore.Write"/>.</summary>
internal sealed class RunPart(FilePart file)
{
    private bool _isDownloaded;
    private long? _outputBytes;
    private long? _errorBytes;

    /// <summary>The part's file, by its full path.</summary>
    public FilePart File { get; } = file;

    public string Name { get; } = Path.GetFileName(file.Path);

    public string? FileId { get; private set; }

    /// <summary>When this process sent the file, as a time stamp of the client's clock; null when an earlier one did.</summary>
    public long? UploadedAt { get; set; }

    /// <summary>Whether a create began whose outcome is not known.</summary>
    public bool IsCreating { get; private set; }

    public string? BatchId { get; private set; }

    /// <summary>The batch, once it has ended.</summary>
    public Batch? Ended { get; private set; }

    /// <summary>Whether the run was stopped early before the batch had ended, which was cancelled for that reason.</summary>
    public bool WasStopped { get; private set; }

    /// <summary>Whether the results were on disk when the run was stopped early.</summary>
    public bool EndedBeforeStop { get; private set; }

    /// <summary>Whether the results are on disk, as long as when they were fetched.</summary>
    public bool IsDownloaded => _isDownloaded && SizeOf(OutputPath) == _outputBytes && SizeOf(ErrorPath) == _errorBytes;

    /// <summary>Whether results of the batch, which has ended, are on disk, though perhaps not all.</summary>
    public bool HasResults => Ended is not null && (IsDownloaded || System.IO.File.Exists(OutputPath) || System.IO.File.Exists(ErrorPath));

    public string OutputPath => Path.ChangeExtension(File.Path, ".output.jsonl");

    public string ErrorPath => Path.ChangeExtension(File.Path, ".error.jsonl");

    /// <summary>A file's size; null where there is none.</summary>
    public static long? SizeOf(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : null;

    /// <summary>Takes a step of this part.</summary>
    public void Apply(RunStep step)
    {
        switch (step.Step)
        {
            case RunStepKind.Uploaded:
                FileId = step.FileId;
                break;
            case RunStepKind.Creating:
                IsCreating = true;
                break;
            case RunStepKind.Created:
                BatchId = step.BatchId;
                break;
            case RunStepKind.Postponed:
                Reset();
                break;
            case RunStepKind.FileLost:
                FileId = null;
                Reset();
                break;
            case RunStepKind.Ended:
                Ended = BatchReader.Read(Encoding.UTF8.GetBytes(step.Batch!));
                break;
            case RunStepKind.Downloaded:
                (_isDownloaded, _outputBytes, _errorBytes) = (true, step.OutputBytes, step.ErrorBytes);
                break;
            default:
                throw new InvalidOperationException(step.Step.ToString());
        }
    }

    /// <summary>The run is stopped early.</summary>
    public void Stop()
    {
        WasStopped |= BatchId is not null && Ended is null;
        EndedBeforeStop |= IsDownloaded;
    }

    /// <summary>Forgets the batch, whatever became of it: the next one has nothing in common with it.</summary>
    private void Reset() => (IsCreating, BatchId, Ended, _isDownloaded, WasStopped) = (false, null, null, false, false);
}
