using InferenceBatch.Model;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Lines;

/// <summary>Open files from which lines are read again by position. Not thread-safe.</summary>
public sealed class LineFiles : IDisposable
{
    private readonly List<SafeFileHandle> _files = [];

    /// <summary>The number of open files.</summary>
    public int Count => _files.Count;

    /// <summary>Opens a file as the next one.</summary>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public void Open(string path) =>
        Add(File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete, options: FileOptions.RandomAccess));

    /// <summary>Adds an open file as the next one. It is closed with the others.</summary>
    public void Add(SafeFileHandle file) => _files.Add(file);

    /// <summary>Reads the line that is now at a position.</summary>
    /// <exception cref="IOException">The file cannot be read, or has become shorter.</exception>
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
