using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Keeps where results stand on disk, to read them again in another order: 16 bytes a result in memory. Those that come
/// over the network are copied into a temporary file, which goes when the spool is disposed, and with the process where
/// the system can do that.
/// </summary>
/// <param name="count">How many places there are.</param>
/// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
public sealed class ResultSpool(int count, Func<string, object?>? valueReader = null) : IDisposable
{
    private readonly LinePlace[] _places = new LinePlace[count];
    private readonly LineFiles _files = new();
    private readonly List<(string? BatchId, string? Endpoint)> _sources = [];
    private DiskStream? _copies;
    private bool _isCopying;

    /// <summary>Whether it was told where results come from.</summary>
    internal bool HasSource => _sources.Count > 0;

    /// <summary>Says that the results added from now on were read from a file that stays as it is.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public void TakeFrom(string path, string? batchId, string? endpoint = null)
    {
        _files.Open(path);
        _sources.Add((batchId, endpoint));
        _isCopying = false;
    }

    /// <summary>Says that the results added from now on stand in no file.</summary>
    /// <exception cref="FileUnwritableException">No temporary file can be made.</exception>
    public void CopyFrom(string? batchId, string? endpoint = null)
    {
        _copies ??= Create();
        _files.Add(_copies.SafeFileHandle);
        _sources.Add((batchId, endpoint));
        _isCopying = true;
    }

    /// <summary>Keeps a result; one kept at that place before is forgotten.</summary>
    /// <exception cref="FileUnwritableException">The disk is full.</exception>
    public void Add(int place, BatchResult result) => _places[place] = Keep(result);

    /// <summary>Keeps a result whose line this spool has already.</summary>
    internal void Add(int place, LinePlace line) => _places[place] = line;

    /// <summary>Keeps a result at no place of its own; says where its line is.</summary>
    /// <exception cref="FileUnwritableException">The disk is full.</exception>
    internal LinePlace Keep(BatchResult result)
    {
        (long offset, int length) = (result.Offset, result.LineLength);
        if (_isCopying)
        {
            (offset, length) = (_copies!.Position, result.JsonUtf8.Length);
            _copies.Write(result.JsonUtf8.Span);
        }

        return new LinePlace(offset, length, _files.Count - 1);
    }

    /// <summary>Reads a result that was kept.</summary>
    /// <exception cref="IOException">Its file changed.</exception>
    public BatchResult Read(int place) => Read(_places[place]);

    /// <summary>Reads a line that was kept.</summary>
    /// <exception cref="IOException">Its file changed.</exception>
    internal BatchResult Read(LinePlace line)
    {
        _copies?.Flush();
        return ResultLineReader.Read(_files.Read(line), _sources[line.File].BatchId, valueReader, _sources[line.File].Endpoint);
    }

    /// <summary>Reads the whole of a result that was just read for its id alone, and is not kept.</summary>
    internal BatchResult ReadWhole(BatchResult result) => ResultLineReader.Read(result.JsonUtf8.Span, _sources[^1].BatchId, valueReader, _sources[^1].Endpoint);

    public void Dispose()
    {
        _files.Dispose();
        _copies?.Dispose();
    }

    /// <summary>
    /// Results may hold what no other user of the machine should read. Where the system allows it, the file loses its name
    /// at once, so that a killed process leaves none; on Windows the system deletes it with its last handle.
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
