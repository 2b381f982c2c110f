namespace InferenceBatch.Service;

/// <summary>A file was written to while it was being sent; nothing of it was kept by the service.</summary>
public sealed class FileChangedException(string path)
    : IOException($"The file '{path}' changed while it was being sent. Send it again once nothing writes to it.")
{
    public string Path { get; } = path;
}
