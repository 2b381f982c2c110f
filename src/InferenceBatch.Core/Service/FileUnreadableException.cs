using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>A file could not be read during its upload: another program has locked it, or the disk fails.</summary>
public sealed class FileUnreadableException(string path, IOException cause)
    : IOException(Messages.Text("FileUnreadable", path, cause.Message), cause)
{
    public string Path { get; } = path;
}
