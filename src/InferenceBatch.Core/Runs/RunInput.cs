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
    private readonly RequestIndex _index = new();
    private readonly FileSplitter? _splitter = store.IsSpooled ? null : new FileSplitter(Path.Combine(store.Folder, "part.jsonl"), maxRequests, maxBytes);
    private readonly List<RunRow> _rows = [];
    private readonly IdIndex _ids = new();
    private readonly IdIndex? _bodies = deduplicate ? new IdIndex() : null;
    private int _places;
    private bool _isComplete;

    /// <summary>The rows taken so far.</summary>
    public int Count => _rows.Count;

    /// <summary>Takes one request.</summary>
    /// <exception cref="RequestRefusedException">This request cannot be taken; others can.</exception>
    /// <exception cref="RunMismatchException">The store holds other requests.</exception>
    /// <exception cref="IOException">The disk.</exception>
    public void Add(BatchRequest request)
    {
        OpenIndex();
        byte[] id = Encoding.UTF8.GetBytes(request.CustomId);
        if (_ids.TryGet(id, out int first))
        {
            throw new RequestRefusedException(RefusalReason.DuplicateCustomId,
                $"The custom_id '{request.CustomId}' of request {_rows.Count + 1} is that of request {first + 1} already; it must be unique.");
        }

        byte[]? key = _bodies is null ? null : KeyOf(request);
        bool isNew = key is null || !_bodies!.TryGet(key, out _);
        int place = _places;
        if (isNew)
        {
            Keep(request);
            _places++;
        }

        _bodies?.TryAdd(key, place, out place);

        _ids.TryAdd(id, _rows.Count, out _);
        _rows.Add(new RunRow(isNew ? null : request.CustomId, request.InputObject, place));
    }

    /// <summary>Says that all requests were given; what was built of them is the run's.</summary>
    /// <exception cref="RunMismatchException">The store holds more.</exception>
    /// <exception cref="IOException">The disk.</exception>
    public RunRequests Complete()
    {
        OpenIndex();
        if (_splitter is null && _places < _index.Count)
        {
            throw new RunMismatchException(
                $"The checkpoint '{store.Folder}' holds {_index.Count:N0} requests, {_places:N0} were given; the first missing one is '{_index.Read(_places).CustomId}'.");
        }

        if (_splitter is not null)
        {
            IReadOnlyList<FilePart> parts = _splitter.Rename(overwrite: true);
            if (parts.Count > 0)
            {
                store.AddParts(1, parts);
            }

            AddToIndex();
        }

        _isComplete = true;
        return new RunRequests(_index, _rows);
    }

    public void Dispose()
    {
        _splitter?.Dispose();
        if (!_isComplete)
        {
            _index.Dispose();
        }
    }

    private static byte[] KeyOf(BatchRequest request)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(request.Url + "\n"));
        hash.AppendData(request.BodyUtf8.Span);
        return hash.GetHashAndReset();
    }

    private void Keep(BatchRequest request)
    {
        if (_splitter is not null)
        {
            _splitter.Add(request);
            return;
        }

        if (_places >= _index.Count)
        {
            RefuseAgain(request);
            throw new RunMismatchException($"The checkpoint '{store.Folder}' holds {_index.Count:N0} requests; '{request.CustomId}' is one more.");
        }

        BatchRequest kept = _index.Read(_places);
        string? difference = kept.CustomId != request.CustomId ? $"its custom_id was '{kept.CustomId}', now it is '{request.CustomId}'"
            : kept.Url != request.Url ? $"it went to {kept.Url}, now to {request.Url}"
            : !kept.BodyUtf8.Span.SequenceEqual(request.BodyUtf8.Span) ? $"its body was {Around(kept, request)}, now it is {Around(request, kept)}"
            : null;
        if (difference is not null)
        {
            RefuseAgain(request);
            throw new RunMismatchException($"Request {_places + 1} ('{request.CustomId}') is not the one of the checkpoint '{store.Folder}': {difference}.");
        }
    }

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

    private void OpenIndex()
    {
        if (_splitter is null && _index.Count == 0)
        {
            AddToIndex();
        }
    }

    private void AddToIndex()
    {
        foreach (RunPart part in store.PartsOf(1))
        {
            if (_index.Add(part.File.Path) > 0)
            {
                throw new RunMismatchException($"'{part.File.Path}' was changed.");
            }
        }
    }
}
