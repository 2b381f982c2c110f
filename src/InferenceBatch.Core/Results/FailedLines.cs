using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Failed results, held back until all files are read, because a later line of the same request may be a success. A
/// request that failed twice keeps the last failure, unless only the earlier one says what was wrong. The lines stay on
/// disk; a failure takes some 40 bytes of memory.
/// </summary>
/// <param name="spool">Keeps the lines; it must be told first where they come from.</param>
internal sealed class FailedLines(ResultSpool spool)
{
    private readonly Dictionary<int, LinePlace> _places = [];

    /// <summary>Whether a request has failed, and not succeeded since.</summary>
    public bool Has(int place) => _places.ContainsKey(place);

    /// <summary>Takes a failed result.</summary>
    /// <exception cref="IOException">The disk is full or cannot be read.</exception>
    public void Add(int place, BatchResult failure)
    {
        if (!_places.TryGetValue(place, out LinePlace earlier) || Supersedes(failure, spool.Read(earlier)))
        {
            _places[place] = spool.Keep(failure);
        }
    }

    /// <summary>The request has succeeded after all; false when it had not failed before.</summary>
    public bool Remove(int place) => _places.Remove(place);

    /// <summary>Gives the failures in the order of their requests, and forgets them.</summary>
    /// <exception cref="IOException">The disk cannot be read.</exception>
    public IEnumerable<(int Place, LinePlace Line, BatchResult Result)> TakeAll()
    {
        KeyValuePair<int, LinePlace>[] all = [.. _places.OrderBy(one => one.Key)];
        _places.Clear();
        foreach ((int place, LinePlace line) in all)
        {
            yield return (place, line, spool.Read(line));
        }
    }

    /// <summary>Whether a later line of a request is its result, and not the one that came before.</summary>
    public static bool Supersedes(BatchResult later, BatchResult earlier) =>
        earlier.Status != ResultStatus.Succeeded && (later.Status == ResultStatus.Succeeded || SaysWhy(later) || !SaysWhy(earlier));

    private static bool SaysWhy(BatchResult failure) =>
        failure.Error is { Code: not "no_response", Message.Length: > 0 } error && !error.Code.StartsWith("http_", StringComparison.Ordinal);
}
