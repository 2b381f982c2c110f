using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Stores the positions of results on disk, 16 bytes each, to read the results again in another order. Results from the
/// network are copied to a temporary file, which is deleted when the spool is disposed, and, if the system can do that, when
/// the process ends.
/// </summary>
/// <param name="count">The number of places.</param>
/// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
public sealed class ResultSpool(int count, Func<string, object?>? valueReader = null) : IDisposable
{
    private readonly LinePlace[] _places = new LinePlace[count];
    private readonly LineFiles _files = new();
    private readonly List<(string? BatchId, string? Endpoint)> _sources = [];
    private DiskStream? _copies;
    private bool _isCopying;

    /// <summary>Whether the source of the results is set.</summary>
    internal bool HasSource => _sources.Count > 0;

    /// <summary>Sets a file as the source of the results that are added next. The file must not change.</summary>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public void ReadFrom(string path, string? batchId, string? endpoint = null)
    {
        _files.Open(path);
        _sources.Add((batchId, endpoint));
        _isCopying = false;
    }

    /// <summary>Sets a source without a file for the results that are added next, so that they are copied.</summary>
    /// <exception cref="FileUnwritableException">The temporary file cannot be created.</exception>
    public void CopyResults(string? batchId, string? endpoint = null)
    {
        _copies ??= Create();
        _files.Add(_copies.SafeFileHandle);
        _sources.Add((batchId, endpoint));
        _isCopying = true;
    }

    /// <summary>Stores a result at a place, and replaces an earlier one.</summary>
    /// <exception cref="FileUnwritableException">The disk is full.</exception>
    public void Add(int place, BatchResult result) => _places[place] = Store(result);

    /// <summary>Stores a result at a place whose line is already in this spool.</summary>
    internal void Add(int place, LinePlace line) => _places[place] = line;

    /// <summary>Stores a result without a place, and returns the position of its line.</summary>
    /// <exception cref="FileUnwritableException">The disk is full.</exception>
    internal LinePlace Store(BatchResult result)
    {
        (long offset, int length) = (result.Offset, result.LineLength);
        if (_isCopying)
        {
            (offset, length) = (_copies!.Position, result.JsonUtf8.Length);
            _copies.Write(result.JsonUtf8.Span);
        }

        return new LinePlace(offset, length, _files.Count - 1);
    }

    /// <summary>Reads the stored result of a place.</summary>
    /// <exception cref="IOException">The file has changed.</exception>
    public BatchResult Read(int place) => Read(_places[place]);

    /// <summary>Reads a stored line.</summary>
    /// <exception cref="IOException">The file has changed.</exception>
    internal BatchResult Read(LinePlace line)
    {
        _copies?.Flush();
        return ResultLineReader.Read(_files.Read(line), _sources[line.File].BatchId, valueReader, _sources[line.File].Endpoint);
    }

    /// <summary>Reads all fields of a result that was read for its ID only and is not stored.</summary>
    internal BatchResult ReadFull(BatchResult result) => ResultLineReader.Read(result.JsonUtf8.Span, _sources[^1].BatchId, valueReader, _sources[^1].Endpoint);

    public void Dispose()
    {
        _files.Dispose();
        _copies?.Dispose();
    }

    /// <summary>
    /// Creates the temporary file. Only this user can read it, because results may be confidential. Except on Windows, its name
    /// is deleted at once, so that a killed process leaves no file. On Windows, the system deletes it with its last handle.
    /// </summary>
    private static DiskStream Create()
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = 256 * 1024,
            Options = OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        string path = Path.Combine(Path.GetTempPath(), $"InferenceBatch-{Guid.NewGuid():N}.spool");
        DiskStream file = Disk.Open(path, options, affectsWholeCommand: true);
        if (!OperatingSystem.IsWindows())
        {
            File.Delete(path);
        }

        return file;
    }
}
