using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Finds the requests of one or more batch files by <c>custom_id</c>, and reads them again from disk when they are needed. A
/// request takes about 60 bytes of memory, whatever its size.
/// </summary>
public sealed class RequestIndex : IRequestSource, IDisposable
{
    private readonly LineFiles _files = new();
    private readonly ChunkedList<LinePlace> _places = new();
    private readonly Utf8KeyMap _ids = new();
    private string _lastUrl = "";

    /// <inheritdoc/>
    public int Count => _places.Count;

    /// <summary>Adds the requests of a file.</summary>
    /// <returns>The number of lines that were skipped because they are not valid requests or have a duplicate ID.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public int Add(string path, CancellationToken cancellationToken = default)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        using var lines = new LineReader(stream, leaveOpen: true);
        int skipped = 0;
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
                skipped++;
                continue;
            }

            _places.Add(new LinePlace(lines.Offset, line.Length, _files.Count));
        }

        Open(path);
        return skipped;
    }

    /// <inheritdoc/>
    public int Find(string customId) => _ids.TryGet(customId, out int place) ? place : -1;

    /// <inheritdoc/>
    /// <exception cref="IOException">The file has changed since it was indexed.</exception>
    public BatchRequest Read(int place)
    {
        byte[] line = _files.Read(_places[place]);
        return Read(line, ref _lastUrl) ?? throw new IOException(Messages.Text("FileUnreadable.RequestChanged", place + 1));
    }

    public void Dispose() => _files.Dispose();

    /// <summary>Adds a request of a file that is still being written. Files must be opened in their order before a request is read.</summary>
    internal void Add(string customId, LinePlace place)
    {
        _ids.TryAdd(customId, _places.Count, out _);
        _places.Add(place);
    }

    /// <summary>Opens the next file.</summary>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    internal void Open(string path) => _files.Open(path);

    /// <summary>Reads a line as a request; returns null if it is not valid.</summary>
    /// <param name="line">The line. The request keeps the array.</param>
    /// <param name="lastUrl">The URL of the last request. Requests of a file usually have the same URL, so they share the string.</param>
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
