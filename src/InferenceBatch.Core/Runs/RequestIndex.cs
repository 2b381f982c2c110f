using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Runs;

/// <summary>
/// The requests of one or more batch files, found by <c>custom_id</c> and read again from disk when asked for: about
/// 60 bytes a request in memory, whatever its size.
/// </summary>
public sealed class RequestIndex : IRequestSource, IDisposable
{
    private const int LinesToJudgeBy = 1000;
    private const int MostReserved = 1_000_000;

    private readonly List<SafeFileHandle> _files = [];
    private readonly List<(long Offset, int Length, int File)> _places = [];
    private readonly IdIndex _ids = new();
    private string _lastUrl = "";

    /// <inheritdoc/>
    public int Count => _places.Count;

    /// <summary>Adds the requests of a file, behind those added before.</summary>
    /// <returns>How many of its lines are no request or repeat an id, and so were left out.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public int Add(string path, CancellationToken cancellationToken = default)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        using var lines = new LineReader(stream, leaveOpen: true);
        int leftOut = 0;
        while (lines.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadOnlySpan<byte> line = lines.Line.Span;
            if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            if (!RequestLine.Parse(line, out RequestLine request, out _) || request.CustomId.IsEmpty || request.Body.IsEmpty
                || !_ids.TryAdd(request.CustomId, _places.Count, out _))
            {
                leftOut++;
                continue;
            }

            _places.Add((lines.Offset, line.Length, _files.Count));
            if (lines.Number == LinesToJudgeBy)
            {
                Reserve((int)Math.Min(MostReserved, stream.Length * LinesToJudgeBy / lines.NextOffset));
            }
        }

        _files.Add(File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete, options: FileOptions.RandomAccess));
        return leftOut;
    }

    /// <inheritdoc/>
    public int Find(string customId)
    {
        int size = Encoding.UTF8.GetMaxByteCount(customId.Length);
        Span<byte> utf8 = size <= 512 ? stackalloc byte[512] : new byte[size];
        return _ids.TryGet(utf8[..Encoding.UTF8.GetBytes(customId, utf8)], out int place) ? place : -1;
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The file changed since it was indexed.</exception>
    public BatchRequest Read(int place)
    {
        (long offset, int length, int file) = _places[place];
        byte[] line = new byte[length];
        if (RandomAccess.Read(_files[file], line, offset) != length
            || !RequestLine.Parse(line, out RequestLine request, out _) || request.CustomId.IsEmpty)
        {
            throw new IOException($"Request {place + 1} is not what it was: its file changed.");
        }

        return new BatchRequest
        {
            CustomId = Encoding.UTF8.GetString(request.CustomId),
            Method = request.MethodKind == JsonTokenType.String && !request.IsPost ? "" : "POST",
            Url = UrlOf(in request),
            BodyUtf8 = line.AsMemory()[request.BodyToken],
        };
    }

    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        _files.Clear();
    }

    /// <summary>Makes room for what a file seems to hold: growing by doubling would leave as much again behind as garbage.</summary>
    private void Reserve(int lines)
    {
        _places.EnsureCapacity(_places.Count + lines);
        _ids.Reserve(_ids.Count + lines);
    }

    /// <summary>The requests of a file go to one endpoint: they share its text.</summary>
    private string UrlOf(in RequestLine request)
    {
        if (!Ascii.Equals(request.Url, _lastUrl))
        {
            _lastUrl = Encoding.UTF8.GetString(request.Url);
        }

        return _lastUrl;
    }
}
