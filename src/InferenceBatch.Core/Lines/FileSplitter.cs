using System.Globalization;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Writes requests to as many batch files as the service's limits require, under temporary names in the folder of the
/// requested file. <see cref="Rename"/> gives them their final names. Files that still have a temporary name when the
/// splitter is disposed are deleted, so an incomplete file never has a final name.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class FileSplitter : IDisposable
{
    private readonly string _path;
    private readonly int _maxRequests;
    private readonly long _maxBytes;
    private readonly string _token = Guid.NewGuid().ToString("N")[..8];
    private readonly Utf8KeyMap? _ids;
    private readonly List<FilePart> _parts = [];
    private LineWriter? _writer;
    private string _endpoint = "";
    private int _position;

    /// <param name="path">The requested file; its folder must exist.</param>
    /// <param name="maxRequests">The maximum number of requests in a file.</param>
    /// <param name="maxBytes">The maximum size of a file.</param>
    /// <param name="checkIds">Whether a repeated <c>custom_id</c> is refused; false if the caller checks the IDs itself.</param>
    public FileSplitter(string path, int maxRequests, long maxBytes, bool checkIds = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxRequests);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxBytes);
        _path = Path.GetFullPath(path);
        _maxRequests = maxRequests;
        _maxBytes = maxBytes;
        _ids = checkIds ? new Utf8KeyMap() : null;
    }

    /// <summary>The number of requests written.</summary>
    public int Count { get; private set; }

    /// <summary>Writes a request and returns its position; the file is the index of the part.</summary>
    /// <exception cref="RequestRefusedException">The request cannot be written to any file. The splitter can still be used.</exception>
    /// <exception cref="FileUnwritableException">The file could not be written.</exception>
    public LinePlace Add(BatchRequest request)
    {
        _position++;
        long size = MaxLineSize(request);
        if (size > _maxBytes || (_writer is not null && _writer.Bytes + size > _maxBytes))
        {
            size = LineWriter.MeasureLine(request);
        }

        Check(request, size);
        if (_writer is { } full && (full.Count >= _maxRequests || full.Bytes + size > _maxBytes))
        {
            Close();
        }

        if (_writer is not { } writer)
        {
            _writer = writer = new LineWriter(Disk.Create(TemporaryPath(_parts.Count + 1)));
            _endpoint = request.Url;
        }

        long offset = writer.Bytes;
        writer.Write(request);
        Count++;
        return new LinePlace(offset, (int)(writer.Bytes - offset) - 1, _parts.Count);
    }

    /// <summary>
    /// Closes the last part and renames all parts: a single part to the requested name, several parts to
    /// <c>name-001.jsonl</c>, <c>name-002.jsonl</c> and so on.
    /// </summary>
    /// <param name="overwrite">Whether existing files may be replaced.</param>
    /// <exception cref="IOException">A file with such a name exists, or a file could not be renamed.</exception>
    public IReadOnlyList<FilePart> Rename(bool overwrite)
    {
        Close();
        List<FilePart> named = [.. _parts.Select((part, index) => part with { Path = NameOf(index + 1, _parts.Count) })];
        if (!overwrite && named.Find(part => File.Exists(part.Path)) is { } taken)
        {
            throw new IOException(Messages.Text("FileUnwritable.Exists", taken.Path));
        }

        for (int i = 0; i < named.Count; i++)
        {
            Disk.Move(_parts[i].Path, named[i].Path, overwrite);
        }

        _parts.Clear();
        return named;
    }

    public void Dispose()
    {
        if (_writer is { } writer)
        {
            _writer = null;
            _parts.Add(new FilePart(TemporaryPath(_parts.Count + 1), 0, 0, ""));
            try
            {
                writer.Dispose();
            }
            catch (IOException)
            {
                // The disk may be full. The file is deleted below.
            }
        }

        foreach (FilePart part in _parts)
        {
            File.Delete(part.Path);
        }

        _parts.Clear();
    }

    private void Check(BatchRequest request, long size)
    {
        if (size > _maxBytes)
        {
            throw new RequestRefusedException(RefusalReason.RequestTooLarge,
                Messages.Text("RequestTooLarge", request.CustomId, size, _maxBytes));
        }

        if (_ids is null)
        {
            return;
        }

        if (!Utf8KeyMap.IsWritable(request.CustomId))
        {
            throw RequestRefusedException.Unwritable(request.CustomId, _position);
        }

        if (!_ids.TryAdd(request.CustomId, _position, out int first))
        {
            throw RequestRefusedException.Duplicate(request.CustomId, _position, first);
        }
    }

    private void Close()
    {
        if (_writer is { } writer)
        {
            _parts.Add(new FilePart(TemporaryPath(_parts.Count + 1), writer.Count, writer.Bytes, _endpoint));
            _writer = null;
            writer.Dispose();
        }
    }

    /// <summary>An upper limit of the line's size that is fast to calculate: no character needs more than six bytes.</summary>
    private static long MaxLineSize(BatchRequest request) =>
        request.BodyUtf8.Length + (6L * (request.CustomId.Length + request.Method.Length + request.Url.Length)) + 64;

    private string TemporaryPath(int number) =>
        Path.Combine(Path.GetDirectoryName(_path)!, string.Create(CultureInfo.InvariantCulture, $".{Path.GetFileName(_path)}.{_token}-{number:000}.tmp"));

    private string NameOf(int number, int count) => count == 1 ? _path
        : Path.Combine(Path.GetDirectoryName(_path)!, string.Create(
            CultureInfo.InvariantCulture, $"{Path.GetFileNameWithoutExtension(_path)}-{number:000}{Path.GetExtension(_path)}"));
}
