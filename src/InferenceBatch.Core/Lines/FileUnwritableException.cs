using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>A file cannot be written: the disk is full or failing, or the permission is missing.</summary>
/// <param name="path">The file or folder.</param>
/// <param name="cause">What the system said.</param>
public sealed class FileUnwritableException(string path, Exception cause)
    : IOException(Messages.Text("FileUnwritable", path, cause.Message), cause)
{
    /// <summary>Whether it is a temporary file that all of a command's output passes through, so that the next input fails too.</summary>
    public bool IsOfWholeCommand { get; init; }
}
