using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Failed results that wait until all files are read, because a later line of the same request may be a success. Of two
/// failures of a request, the last one is kept, unless only the earlier one has a reason. The lines stay on disk; a failure
/// takes about 40 bytes of memory.
/// </summary>
/// <param name="spool">Stores the lines. The source of the lines must be set first.</param>
internal sealed class FailedLines(ResultSpool spool)
{
    private readonly Dictionary<int, LinePlace> _places = [];

    /// <summary>Whether a request has failed and has not succeeded since.</summary>
    public bool Has(int place) => _places.ContainsKey(place);

    /// <summary>Adds a failed result.</summary>
    /// <exception cref="IOException">The disk is full or cannot be read.</exception>
    public void Add(int place, BatchResult failure)
    {
        if (!_places.TryGetValue(place, out LinePlace earlier) || Supersedes(failure, spool.Read(earlier)))
        {
            _places[place] = spool.Store(failure);
        }
    }

    /// <summary>Removes the failure of a request that has succeeded. Returns false if it had not failed.</summary>
    public bool Remove(int place) => _places.Remove(place);

    /// <summary>Returns the failures in the order of their requests, and removes them.</summary>
    /// <exception cref="IOException">The disk cannot be read.</exception>
    public IEnumerable<(int Place, LinePlace Line, BatchResult Result)> TakeAll()
    {
        KeyValuePair<int, LinePlace>[] all = [.. _places.OrderBy(place => place.Key)];
        _places.Clear();
        foreach ((int place, LinePlace line) in all)
        {
            yield return (place, line, spool.Read(line));
        }
    }

    /// <summary>Whether a later line of a request replaces an earlier one as its result.</summary>
    public static bool Supersedes(BatchResult later, BatchResult earlier) =>
        earlier.Status != ResultStatus.Succeeded && (later.Status == ResultStatus.Succeeded || HasReason(later) || !HasReason(earlier));

    private static bool HasReason(BatchResult failure) =>
        failure.Error is { Code: not "no_response", Message.Length: > 0 } error && !error.Code.StartsWith("http_", StringComparison.Ordinal);
}
