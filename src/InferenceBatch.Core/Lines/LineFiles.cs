using InferenceBatch.Model;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Lines;

/// <summary>Files held open, to read lines of them again by their places. Not safe for several threads.</summary>
public sealed class LineFiles : IDisposable
{
    private readonly List<SafeFileHandle> _files = [];

    /// <summary>Files opened so far.</summary>
    public int Count => _files.Count;

    /// <summary>Opens a file as the next one.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public void Open(string path) =>
        Add(File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete, options: FileOptions.RandomAccess));

    /// <summary>Takes an open file as the next one.</summary>
    public void Add(SafeFileHandle file) => _files.Add(file);

    /// <summary>Reads a line as it stands in its file now.</summary>
    /// <exception cref="IOException">The file cannot be read, or is shorter than it was.</exception>
    public byte[] Read(LinePlace place)
    {
        byte[] line = new byte[place.Length];
        return RandomAccess.Read(_files[place.File], line, place.Offset) == line.Length ? line
            : throw new IOException(Messages.Text("FileUnreadable.LineMoved"));
    }

    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        _files.Clear();
    }
}
