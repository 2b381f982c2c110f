using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>How far one part of a run has come. Changed by <see cref="RunStore.Write"/> alone.</summary>
internal sealed class RunPart(FilePart file)
{
    private bool _isDownloaded;
    private long? _outputBytes;
    private long? _errorBytes;

    /// <summary>The part's file, by its full path.</summary>
    public FilePart File { get; } = file;

    public string Name { get; } = Path.GetFileName(file.Path);

    public string? FileId { get; set; }

    /// <summary>Whether a create began whose outcome is not known.</summary>
    public bool IsCreating { get; set; }

    public string? BatchId { get; set; }

    /// <summary>The batch, once it has ended.</summary>
    public Batch? Ended { get; set; }

    /// <summary>Whether the results are on disk, as long as when they were fetched.</summary>
    public bool IsDownloaded => _isDownloaded && SizeOf(OutputPath) == _outputBytes && SizeOf(ErrorPath) == _errorBytes;

    public string OutputPath => Path.ChangeExtension(File.Path, ".output.jsonl");

    public string ErrorPath => Path.ChangeExtension(File.Path, ".error.jsonl");

    /// <summary>A file's size; null where there is none.</summary>
    public static long? SizeOf(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : null;

    public void SetDownloaded(long? outputBytes, long? errorBytes) => (_isDownloaded, _outputBytes, _errorBytes) = (true, outputBytes, errorBytes);
}
