using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>A file changed during its upload. The service has not stored it.</summary>
public sealed class FileChangedException(string path)
    : IOException(Messages.Text("FileUnreadable.Changed", path))
{
    public string Path { get; } = path;
}
