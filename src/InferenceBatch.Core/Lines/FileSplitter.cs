using System.Globalization;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Writes requests to as many batch files as the service's limits require, one endpoint per file, under temporary names in
/// the folder of the requested file. <see cref="Rename"/> gives them their final names. Files that still have a temporary name when the
/// splitter is disposed are deleted, so an incomplete file never has a final name.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class FileSplitter : IDisposable
{
    /// <summary>The maximum number of files that are open at a time: one per endpoint.</summary>
    private const int MaxOpen = 16;

    private readonly string _path;
    private readonly int _maxRequests;
    private readonly long _maxBytes;
    private readonly string _token = Guid.NewGuid().ToString("N")[..8];
    private readonly Utf8KeyMap? _ids;
    private readonly List<FilePart> _parts = [];
    private readonly Dictionary<string, OpenPart> _open = new(StringComparer.Ordinal);
    private OpenPart? _last;
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
        OpenPart? open = _last?.Endpoint == request.Url ? _last : _open.GetValueOrDefault(request.Url);
        long size = MaxLineSize(request);
        if (size > _maxBytes || (open is not null && open.Writer.Bytes + size > _maxBytes))
        {
            size = LineWriter.MeasureLine(request);
        }

        Check(request, size);
        if (open is not null && (open.Writer.Count >= _maxRequests || open.Writer.Bytes + size > _maxBytes))
        {
            Close(open);
            open = null;
        }

        _last = open ??= Open(request.Url);
        long offset = open.Writer.Bytes;
        open.Writer.Write(request);
        Count++;
        return new LinePlace(offset, (int)(open.Writer.Bytes - offset) - 1, open.Index);
    }

    /// <summary>
    /// Closes the open parts and renames all parts: a single part to the requested name, several parts to
    /// <c>name-001.jsonl</c>, <c>name-002.jsonl</c> and so on.
    /// </summary>
    /// <param name="overwrite">Whether existing files may be replaced.</param>
    /// <exception cref="IOException">A file with such a name exists, or a file could not be renamed.</exception>
    public IReadOnlyList<FilePart> Rename(bool overwrite)
    {
        foreach (OpenPart open in _open.Values.ToList())
        {
            Close(open);
        }

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
        foreach (OpenPart open in _open.Values)
        {
            try
            {
                open.Writer.Dispose();
            }
            catch (IOException)
            {
                // The disk may be full. The file is deleted below.
            }
        }

        _open.Clear();
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

    private OpenPart Open(string endpoint)
    {
        if (_open.Count == MaxOpen)
        {
            Close(_open.Values.MinBy(open => open.Index)!);
        }

        string path = TemporaryPath(_parts.Count + 1);
        var part = new OpenPart(new LineWriter(Disk.Create(path)), endpoint, _parts.Count);
        _parts.Add(new FilePart(path, 0, 0, endpoint));
        _open.Add(endpoint, part);
        return part;
    }

    private void Close(OpenPart open)
    {
        _parts[open.Index] = _parts[open.Index] with { RequestCount = open.Writer.Count, Bytes = open.Writer.Bytes };
        _open.Remove(open.Endpoint);
        _last = null;
        open.Writer.Dispose();
    }

    /// <summary>An upper limit of the line's size that is fast to calculate: no character needs more than six bytes.</summary>
    private static long MaxLineSize(BatchRequest request) =>
        request.BodyUtf8.Length + (6L * (request.CustomId.Length + request.Method.Length + request.Url.Length)) + 64;

    private string TemporaryPath(int number) =>
        Path.Combine(Path.GetDirectoryName(_path)!, string.Create(CultureInfo.InvariantCulture, $".{Path.GetFileName(_path)}.{_token}-{number:000}.tmp"));

    private string NameOf(int number, int count) => count == 1 ? _path
        : Path.Combine(Path.GetDirectoryName(_path)!, string.Create(
            CultureInfo.InvariantCulture, $"{Path.GetFileNameWithoutExtension(_path)}-{number:000}{Path.GetExtension(_path)}"));

    private sealed record OpenPart(LineWriter Writer, string Endpoint, int Index);
}
