using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// The requests of one or more batch files, found by <c>custom_id</c> and read again from disk when asked for: about
/// 60 bytes a request in memory, whatever its size.
/// </summary>
public sealed class RequestIndex : IRequestSource, IDisposable
{
    private readonly LineFiles _files = new();
    private readonly ChunkedList<LinePlace> _places = new();
    private readonly Utf8KeyMap _ids = new();
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

            _places.Add(new LinePlace(lines.Offset, line.Length, _files.Count));
        }

        Open(path);
        return leftOut;
    }

    /// <inheritdoc/>
    public int Find(string customId) => _ids.TryGet(customId, out int place) ? place : -1;

    /// <inheritdoc/>
    /// <exception cref="IOException">The file changed since it was indexed.</exception>
    public BatchRequest Read(int place)
    {
        byte[] line = _files.Read(_places[place]);
        return Read(line, ref _lastUrl) ?? throw new IOException(Messages.Text("FileUnreadable.RequestChanged", place + 1));
    }

    public void Dispose() => _files.Dispose();

    /// <summary>Adds a request that is being written; its file is to be opened, in its turn, before it is read.</summary>
    internal void Add(string customId, LinePlace place)
    {
        _ids.TryAdd(customId, _places.Count, out _);
        _places.Add(place);
    }

    /// <summary>Opens the next file that places point into.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    internal void Open(string path) => _files.Open(path);

    /// <summary>The request that a line is, which may keep its bytes; null when it is none.</summary>
    /// <param name="line">The line.</param>
    /// <param name="lastUrl">The requests of a file go to one endpoint: they share its text.</param>
    internal static BatchRequest? Read(byte[] line, ref string lastUrl)
    {
        if (!RequestLine.Parse(line, out RequestLine request, out _) || request.CustomId.IsEmpty)
        {
            return null;
        }

        if (!Ascii.Equals(request.Url, lastUrl))
        {
            lastUrl = Encoding.UTF8.GetString(request.Url);
        }

        return new BatchRequest
        {
            CustomId = Encoding.UTF8.GetString(request.CustomId),
            Method = request.MethodKind == JsonTokenType.String && !request.IsPost ? "" : "POST",
            Url = lastUrl,
            BodyUtf8 = line.AsMemory()[request.BodyToken],
        };
    }
}
