using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>How far one part of a run has come. Changed by <see cref="RunStore.Write"/> alone.</summary>
internal sealed class RunPart(FilePart file)
{
    /// <summary>The part's file, by its full path.</summary>
    public FilePart File { get; } = file;

    public string Name { get; } = Path.GetFileName(file.Path);

    public string? FileId { get; set; }

    /// <summary>Whether a create began whose outcome is not known.</summary>
    public bool IsCreating { get; set; }

    public string? BatchId { get; set; }

    /// <summary>The batch, once it has ended.</summary>
    public Batch? Ended { get; set; }

    public bool IsDownloaded { get; set; }

    public string OutputPath => Path.ChangeExtension(File.Path, ".output.jsonl");

    public string ErrorPath => Path.ChangeExtension(File.Path, ".error.jsonl");
}
