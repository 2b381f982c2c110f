using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>The progress of a part of a run. Only steps of the journal change it; see <see cref="RunStore.Write"/>.</summary>
internal sealed class RunPart(FilePart file)
{
    private bool _isDownloaded;
    private long? _outputBytes;
    private long? _errorBytes;

    /// <summary>The file of the part, with its full path.</summary>
    public FilePart File { get; } = file;

    public string Name { get; } = Path.GetFileName(file.Path);

    public string? FileId { get; private set; }

    /// <summary>When this process uploaded the file, as a timestamp of the client's clock; null if an earlier process did.</summary>
    public long? UploadedAt { get; set; }

    /// <summary>Whether the outcome of a create is unknown.</summary>
    public bool IsCreating { get; private set; }

    public string? BatchId { get; private set; }

    /// <summary>The batch after its end; null before.</summary>
    public Batch? Ended { get; private set; }

    /// <summary>Whether the batch was cancelled because the run stopped early.</summary>
    public bool WasStopped { get; private set; }

    /// <summary>Whether the results were on disk when the run stopped early.</summary>
    public bool EndedBeforeStop { get; private set; }

    /// <summary>Whether the results are on disk, with the size that they had after the download.</summary>
    public bool IsDownloaded => _isDownloaded && SizeOf(OutputPath) == _outputBytes && SizeOf(ErrorPath) == _errorBytes;

    /// <summary>Whether the batch has ended and at least some of its results are on disk.</summary>
    public bool HasResults => Ended is not null && (IsDownloaded || System.IO.File.Exists(OutputPath) || System.IO.File.Exists(ErrorPath));

    public string OutputPath => Path.ChangeExtension(File.Path, ".output.jsonl");

    public string ErrorPath => Path.ChangeExtension(File.Path, ".error.jsonl");

    /// <summary>The size of a file; null if it does not exist.</summary>
    public static long? SizeOf(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : null;

    /// <summary>Applies a step of this part.</summary>
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

    /// <summary>Records that the run stops early.</summary>
    public void Stop()
    {
        WasStopped |= BatchId is not null && Ended is null;
        EndedBeforeStop |= IsDownloaded;
    }

    /// <summary>Forgets the batch, so that the part can get another one.</summary>
    private void Reset() => (IsCreating, BatchId, Ended, _isDownloaded, WasStopped) = (false, null, null, false, false);
}
