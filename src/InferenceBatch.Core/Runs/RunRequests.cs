using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>The requests a run sends, and the rows that wait for their answers: one each, unless equal bodies are sent once.</summary>
public sealed class RunRequests : IDisposable
{
    private readonly RequestIndex _index;
    private readonly IReadOnlyList<RunRow> _rows;
    private readonly ILookup<int, RunRow>? _copies;
    private readonly int[]? _firstRows;

    internal RunRequests(RequestIndex index, IReadOnlyList<RunRow> rows)
    {
        _index = index;
        _rows = rows;
        if (rows.Count > index.Count)
        {
            _copies = rows.Where(row => row.CustomId is not null).ToLookup(row => row.Place);
            _firstRows = [.. Enumerable.Range(0, rows.Count).Where(row => rows[row].CustomId is null)];
        }
    }

    /// <summary>Requests sent.</summary>
    public int Count => _index.Count;

    /// <summary>Rows that get a result.</summary>
    public int RowCount => _rows.Count;

    /// <summary>The place of a request, by its id; -1 when there is none.</summary>
    public int Find(string customId) => _index.Find(customId);

    /// <summary>The request at a place.</summary>
    public BatchRequest Read(int place) => With(_index.Read(place), null, _rows[_firstRows?[place] ?? place].InputObject);

    /// <summary>The results of all rows that a request's result answers.</summary>
    internal IEnumerable<BatchResult> Answer(int place, BatchResult result)
    {
        result.Request ??= Read(place);
        yield return result;
        foreach (RunRow row in _copies?[place] ?? [])
        {
            yield return Answer(row, result);
        }
    }

    /// <summary>The results of all rows in their order.</summary>
    /// <param name="resultOf">The result of a request; null when it has none.</param>
    internal IEnumerable<BatchResult> InOrder(Func<int, BatchResult?> resultOf)
    {
        foreach (RunRow row in _rows)
        {
            if (resultOf(row.Place) is { } result)
            {
                result.Request ??= Read(row.Place);
                yield return row.CustomId is null ? result : Answer(row, result);
            }
        }
    }

    public void Dispose() => _index.Dispose();

    private static BatchResult Answer(RunRow row, BatchResult result) =>
        result.CopyFor(row.CustomId!, With(result.Request!, row.CustomId, row.InputObject));

    private static BatchRequest With(BatchRequest request, string? customId, object? inputObject) => new()
    {
        CustomId = customId ?? request.CustomId,
        Method = request.Method,
        Url = request.Url,
        BodyUtf8 = request.BodyUtf8,
        InputObject = inputObject,
    };
}
