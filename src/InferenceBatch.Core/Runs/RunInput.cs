using System.Security.Cryptography;
using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>
/// Writes the requests of a run to its store. If the store already has them from an earlier process, compares them instead,
/// because only the same rows may resume a run.
/// </summary>
/// <param name="store">A store that is bound to a service.</param>
/// <param name="maxRequests">The maximum number of requests per file.</param>
/// <param name="maxBytes">The maximum number of bytes per file.</param>
/// <param name="deduplicate">Whether equal bodies are sent once.</param>
public sealed class RunInput(RunStore store, int maxRequests, long maxBytes, bool deduplicate) : IDisposable
{
    private readonly RunRequests _requests = new();
    private readonly FileSplitter? _splitter = store.IsSpooled ? null : new FileSplitter(Path.Combine(store.Folder, "part.jsonl"), maxRequests, maxBytes, checkIds: false);
    private readonly Dictionary<string, StoredRequestReader>? _stored = store.IsSpooled ? ReadersOf(store.PartsOf(1)) : null;
    private readonly Utf8KeyMap? _bodies = deduplicate ? new Utf8KeyMap() : null;
    private bool _isComplete;

    /// <summary>The number of rows so far.</summary>
    public int Count => _requests.RowCount;

    /// <summary>Adds a request.</summary>
    /// <exception cref="RequestRefusedException">This request is not valid. Others can still be added.</exception>
    /// <exception cref="RunMismatchException">The store contains other requests.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    public void Add(BatchRequest request)
    {
        if (!Utf8KeyMap.IsWritable(request.CustomId))
        {
            throw RequestRefusedException.Unwritable(request.CustomId, Count + 1);
        }

        if (_requests.RowOf(request.CustomId) is >= 0 and int first)
        {
            throw RequestRefusedException.Duplicate(request.CustomId, Count + 1, first + 1);
        }

        byte[]? body = _bodies is null ? null : KeyOf(request);
        if (body is not null && _bodies!.TryGet(body, out int place))
        {
            _requests.AddCopy(request, place);
            return;
        }

        LinePlace line = _splitter?.Add(request) ?? Compare(request, ReaderFor(request.Url));
        _bodies?.TryAdd(body, _requests.Count, out _);
        _requests.Add(request, line);
    }

    /// <summary>Completes the input. Returns the requests, which the caller must dispose.</summary>
    /// <exception cref="RunMismatchException">The store contains more requests.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    public RunRequests Complete()
    {
        if (_stored?.Values.Select(reader => reader.Peek()?.Request.CustomId).FirstOrDefault(id => id is not null) is { } missing)
        {
            int stored = store.PartsOf(1).Sum(part => part.File.RequestCount);
            throw Mismatch(Messages.Text("CheckpointMismatch.Fewer", store.Folder, stored, _requests.Count, missing));
        }

        if (_splitter?.Rename(overwrite: true) is { Count: > 0 } parts)
        {
            store.AddParts(1, parts, deduplicate);
        }

        foreach (RunPart part in store.PartsOf(1))
        {
            _requests.Open(part.File.Path);
        }

        _isComplete = true;
        return _requests;
    }

    public void Dispose()
    {
        _splitter?.Dispose();
        foreach (StoredRequestReader reader in _stored?.Values ?? Enumerable.Empty<StoredRequestReader>())
        {
            reader.Dispose();
        }

        if (!_isComplete)
        {
            _requests.Dispose();
        }
    }

    private static byte[] KeyOf(BatchRequest request)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(request.Url + "\n"));
        hash.AppendData(request.BodyUtf8.Span);
        return hash.GetHashAndReset();
    }

    /// <summary>The stored requests by endpoint, because each part has one endpoint and the rows may alternate.</summary>
    private static Dictionary<string, StoredRequestReader> ReadersOf(IReadOnlyList<RunPart> parts) => parts
        .Select(part => part.File.Endpoint).Distinct().ToDictionary(endpoint => endpoint, endpoint => new StoredRequestReader(parts, endpoint), StringComparer.Ordinal);

    /// <summary>Returns the reader of an endpoint; another one if the run had no requests for it, so that the comparison names the difference.</summary>
    private StoredRequestReader ReaderFor(string endpoint) => _stored!.TryGetValue(endpoint, out StoredRequestReader? reader) ? reader : _stored.Values.First();

    /// <summary>Compares a request with the stored request at its place, and returns the position of the stored line.</summary>
    private LinePlace Compare(BatchRequest request, StoredRequestReader requests)
    {
        if (requests.Peek() is not var (stored, line))
        {
            ThrowIfRefused(request);
            throw Mismatch(Messages.Text("CheckpointMismatch.More", store.Folder, _requests.Count, request.CustomId));
        }

        string? difference = stored.CustomId != request.CustomId ? Messages.Text("CheckpointMismatch.CustomId", stored.CustomId, request.CustomId)
            : stored.Url != request.Url ? Messages.Text("CheckpointMismatch.Url", stored.Url, request.Url)
            : !stored.BodyUtf8.Span.SequenceEqual(request.BodyUtf8.Span) ? Messages.Text("CheckpointMismatch.Body", Excerpt(stored, request), Excerpt(request, stored))
            : null;
        if (difference is not null)
        {
            ThrowIfRefused(request);
            throw Mismatch(Messages.Text("CheckpointMismatch", _requests.Count + 1, request.CustomId, store.Folder, difference));
        }

        requests.Advance();
        return line;
    }

    private RunMismatchException Mismatch(string text) => new(
        store.IsDeduplicated is { } before && before != deduplicate
            ? Messages.Text(before ? "CheckpointMismatch.Deduplicated" : "CheckpointMismatch.NotDeduplicated", text) : text);

    /// <summary>Throws if the row is not valid. Such a row is not in the checkpoint, so the difference is not a mismatch.</summary>
    private void ThrowIfRefused(BatchRequest request)
    {
        using var check = new FileSplitter(Path.Combine(store.Folder, "check.jsonl"), 1, maxBytes);
        check.Add(request);
    }

    /// <summary>Returns a body's text around the first difference from another body.</summary>
    private static string Excerpt(BatchRequest request, BatchRequest other)
    {
        int same = request.BodyUtf8.Span.CommonPrefixLength(other.BodyUtf8.Span);
        string text = Encoding.UTF8.GetString(request.BodyUtf8.Span[Math.Max(0, same - 20)..]);
        return $"«{(same > 20 ? "…" : "")}{TextCut.Start(text, 60)}»";
    }
}
