using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>
/// Keeps result lines in a temporary file, to read them again in another order: 16 bytes a result in memory. The file
/// goes when the spool is disposed, and with the process where the system can do that.
/// </summary>
public sealed class ResultSpool : IDisposable
{
    private readonly FileStream _file = Create();
    private readonly Func<string, object?>? _valueReader;
    private readonly List<string?> _batchIds = [];
    private (long Offset, int Length, int Batch)[] _places;

    /// <param name="count">How many places there are.</param>
    /// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
    public ResultSpool(int count, Func<string, object?>? valueReader = null)
    {
        _places = new (long, int, int)[count];
        _valueReader = valueReader;
    }

    /// <summary>Keeps a result; one kept at that place before is forgotten.</summary>
    /// <exception cref="IOException">The disk is full.</exception>
    public void Add(int place, BatchResult result)
    {
        if (_batchIds.Count == 0 || _batchIds[^1] != result.BatchId)
        {
            _batchIds.Add(result.BatchId);
        }

        _places[place] = (_file.Position, result.JsonUtf8.Length, _batchIds.Count - 1);
        _file.Write(result.JsonUtf8.Span);
    }

    /// <summary>Reads a result that was kept.</summary>
    public BatchResult Read(int place)
    {
        (long offset, int length, int batch) = _places[place];
        byte[] line = new byte[length];
        _file.Flush();
        RandomAccess.Read(_file.SafeFileHandle, line, offset);
        return ResultLineReader.Read(line, _batchIds[batch], _valueReader);
    }

    public void Dispose()
    {
        _places = [];
        _file.Dispose();
    }

    /// <summary>Results may hold what no other user of the machine should read.</summary>
    private static FileStream Create()
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = 256 * 1024,
            Options = FileOptions.DeleteOnClose,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(Path.Combine(Path.GetTempPath(), $"InferenceBatch-{Guid.NewGuid():N}.spool"), options);
    }
}
