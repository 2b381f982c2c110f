using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>A file cannot be written: the disk is full or fails, or the permission is missing.</summary>
/// <param name="path">The file or folder.</param>
/// <param name="cause">The exception of the operating system.</param>
public sealed class FileUnwritableException(string path, Exception cause)
    : IOException(Messages.Text("FileUnwritable", path, cause.Message), cause)
{
    /// <summary>Whether the file is a temporary file for all output of a command, so that the next input would fail too.</summary>
    public bool AffectsWholeCommand { get; init; }
}
