using System.Security.Cryptography;
using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>
/// The requests of a run on their way to its store. Where the store has them from an earlier process, they are compared
/// instead: a run is gone on with only by the same rows.
/// </summary>
/// <param name="store">Begun.</param>
/// <param name="maxRequests">Requests in one file, at most.</param>
/// <param name="maxBytes">Bytes in one file, at most.</param>
/// <param name="deduplicate">Whether equal bodies are sent once.</param>
public sealed class RunInput(RunStore store, int maxRequests, long maxBytes, bool deduplicate) : IDisposable
{
    private readonly RunRequests _requests = new();
    private readonly FileSplitter? _splitter = store.IsSpooled ? null : new FileSplitter(Path.Combine(store.Folder, "part.jsonl"), maxRequests, maxBytes, checkIds: false);
    private readonly StoredRequestReader? _kept = store.IsSpooled ? new StoredRequestReader(store.PartsOf(1)) : null;
    private readonly Utf8KeyMap? _bodies = deduplicate ? new Utf8KeyMap() : null;
    private bool _isComplete;

    /// <summary>The rows taken so far.</summary>
    public int Count => _requests.RowCount;

    /// <summary>Takes one request.</summary>
    /// <exception cref="RequestRefusedException">This request cannot be taken; others can.</exception>
    /// <exception cref="RunMismatchException">The store holds other requests.</exception>
    /// <exception cref="IOException">The disk.</exception>
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

        LinePlace line = _splitter?.Add(request) ?? Compare(request, _kept!);
        _bodies?.TryAdd(body, _requests.Count, out _);
        _requests.Add(request, line);
    }

    /// <summary>Says that all requests were given; what was built of them is the run's.</summary>
    /// <exception cref="RunMismatchException">The store holds more.</exception>
    /// <exception cref="IOException">The disk.</exception>
    public RunRequests Complete()
    {
        if (_kept?.Peek() is { Request.CustomId: var missing })
        {
            int held = store.PartsOf(1).Sum(part => part.File.RequestCount);
            throw Mismatch(Messages.Text("CheckpointMismatch.Fewer", store.Folder, held, _requests.Count, missing));
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
        _kept?.Dispose();
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

    /// <summary>Holds a request to the one that the store has in its place; gives where that stands.</summary>
    private LinePlace Compare(BatchRequest request, StoredRequestReader requests)
    {
        if (requests.Peek() is not var (kept, line))
        {
            RefuseAgain(request);
            throw Mismatch(Messages.Text("CheckpointMismatch.More", store.Folder, _requests.Count, request.CustomId));
        }

        string? difference = kept.CustomId != request.CustomId ? Messages.Text("CheckpointMismatch.CustomId", kept.CustomId, request.CustomId)
            : kept.Url != request.Url ? Messages.Text("CheckpointMismatch.Url", kept.Url, request.Url)
            : !kept.BodyUtf8.Span.SequenceEqual(request.BodyUtf8.Span) ? Messages.Text("CheckpointMismatch.Body", Around(kept, request), Around(request, kept))
            : null;
        if (difference is not null)
        {
            RefuseAgain(request);
            throw Mismatch(Messages.Text("CheckpointMismatch", _requests.Count + 1, request.CustomId, store.Folder, difference));
        }

        requests.Take();
        return line;
    }

    private RunMismatchException Mismatch(string text) => new(
        store.IsDeduplicated is { } before && before != deduplicate
            ? Messages.Text(before ? "CheckpointMismatch.Deduplicated" : "CheckpointMismatch.NotDeduplicated", text) : text);

    /// <summary>A row that was refused the first time is no part of the checkpoint, and is refused again.</summary>
    private void RefuseAgain(BatchRequest request)
    {
        using var check = new FileSplitter(Path.Combine(store.Folder, "check.jsonl"), 1, maxBytes);
        check.Add(request);
    }

    /// <summary>The place where two bodies part.</summary>
    private static string Around(BatchRequest one, BatchRequest other)
    {
        int same = one.BodyUtf8.Span.CommonPrefixLength(other.BodyUtf8.Span);
        string text = Encoding.UTF8.GetString(one.BodyUtf8.Span[Math.Max(0, same - 20)..]);
        return $"«{(same > 20 ? "…" : "")}{TextCut.Start(text, 60)}»";
    }
}
