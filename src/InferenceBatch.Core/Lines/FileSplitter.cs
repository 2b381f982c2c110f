using System.Globalization;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Writes requests to as many batch files as the service's limits ask for, under temporary names in the folder of the
/// file that was asked for. <see cref="Rename"/> gives them their names; whatever has none when the splitter is
/// disposed is deleted, so that nothing half-written is ever found under a name.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
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

    /// <param name="path">The file asked for; its folder must exist.</param>
    /// <param name="maxRequests">Requests in one file, at most.</param>
    /// <param name="maxBytes">Bytes in one file, at most.</param>
    /// <param name="checkIds">Whether a repeated <c>custom_id</c> is refused; false where whoever calls keeps the ids already.</param>
    public FileSplitter(string path, int maxRequests, long maxBytes, bool checkIds = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxRequests);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxBytes);
        _path = Path.GetFullPath(path);
        _maxRequests = maxRequests;
        _maxBytes = maxBytes;
        _ids = checkIds ? new Utf8KeyMap() : null;
    }

    /// <summary>Requests written so far.</summary>
    public int Count { get; private set; }

    /// <summary>Writes a request; gives where it stands, in the part of that number.</summary>
    /// <exception cref="RequestRefusedException">No file can take the request; the splitter can go on.</exception>
    /// <exception cref="FileUnwritableException">The file could not be written.</exception>
    public LinePlace Add(BatchRequest request)
    {
        _position++;
        long size = LargestLine(request);
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
    /// Closes the last part and gives all their names: the one asked for where it is one part, else
    /// <c>name-001.jsonl</c>, <c>name-002.jsonl</c> and so on.
    /// </summary>
    /// <param name="overwrite">Whether files of these names may be replaced.</param>
    /// <exception cref="IOException">A file of such a name exists, or could not be written.</exception>
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
                // A full disk: the file is deleted below.
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

    /// <summary>What the line can take at most, found without writing it: no character takes more than six bytes.</summary>
    private static long LargestLine(BatchRequest request) =>
        request.BodyUtf8.Length + (6L * (request.CustomId.Length + request.Method.Length + request.Url.Length)) + 64;

    private string TemporaryPath(int number) =>
        Path.Combine(Path.GetDirectoryName(_path)!, string.Create(CultureInfo.InvariantCulture, $".{Path.GetFileName(_path)}.{_token}-{number:000}.tmp"));

    private string NameOf(int number, int count) => count == 1 ? _path
        : Path.Combine(Path.GetDirectoryName(_path)!, string.Create(
            CultureInfo.InvariantCulture, $"{Path.GetFileNameWithoutExtension(_path)}-{number:000}{Path.GetExtension(_path)}"));
}
