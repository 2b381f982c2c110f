using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>A file was written to while it was being sent; nothing of it was kept by the service.</summary>
public sealed class FileChangedException(string path)
    : IOException(Messages.Text("FileUnreadable.Changed", path))
{
    public string Path { get; } = path;
}
