using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Runs;

/// <summary>
/// The requests of one or more batch files, found by <c>custom_id</c> and read again from disk when asked for: about
/// 70 bytes a request in memory, whatever its size.
/// </summary>
public sealed class RequestIndex : IRequestSource, IDisposable
{
    private readonly List<SafeFileHandle> _files = [];
    private readonly List<(int File, RequestSpan Span)> _spans = [];
    private readonly IdIndex _ids = new();

    /// <inheritdoc/>
    public int Count => _spans.Count;

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
                || !_ids.TryAdd(request.CustomId, _spans.Count, out _))
            {
                leftOut++;
                continue;
            }

            (int idStart, int idLength) = request.IdToken.GetOffsetAndLength(line.Length);
            (int bodyStart, int bodyLength) = request.BodyToken.GetOffsetAndLength(line.Length);
            _spans.Add((_files.Count, new RequestSpan(lines.Number, lines.Offset, line.Length, idStart, idLength, bodyStart, bodyLength)));
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
        (int file, RequestSpan span) = _spans[place];
        byte[] line = new byte[span.Length];
        if (RandomAccess.Read(_files[file], line, span.Offset) != line.Length
            || !RequestLine.Parse(line, out RequestLine request, out _) || request.CustomId.IsEmpty)
        {
            throw new IOException($"Line {span.Line} of the request file is not what it was: the file changed.");
        }

        return Request(line, in request);
    }

    /// <summary>A request from its parsed line.</summary>
    public static BatchRequest Request(ReadOnlyMemory<byte> line, in RequestLine request) => new()
    {
        CustomId = Encoding.UTF8.GetString(request.CustomId),
        Method = request.MethodKind == JsonTokenType.String && !request.IsPost ? "" : "POST",
        Url = Encoding.UTF8.GetString(request.Url),
        BodyUtf8 = line[request.BodyToken],
    };

    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        _files.Clear();
    }
}
