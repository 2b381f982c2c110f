using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>
/// The requests of a run, each at a place counted from 0, and the rows that get their results. Each request has one row,
/// unless equal bodies are sent once. A row takes about 80 bytes of memory, plus its object.
/// </summary>
public sealed class RunRequests : IDisposable
{
    private readonly RequestIndex _index = new();
    private readonly ChunkedList<object?> _inputs = new();
    private readonly Utf8KeyMap _copyIds = new();
    private readonly ChunkedList<Copy> _copies = new();
    private ILookup<int, int>? _copiesOf;

    /// <summary>The number of requests.</summary>
    public int Count => _index.Count;

    /// <summary>The number of rows.</summary>
    public int RowCount => _index.Count + _copies.Count;

    /// <summary>The copies of each request. Created at the first use, which is after the last row.</summary>
    private ILookup<int, int> CopiesOf => _copiesOf ??= Enumerable.Range(0, _copies.Count).ToLookup(number => _copies[number].Place);

    /// <summary>Returns the place of a request by its ID; -1 if there is none.</summary>
    public int Find(string customId) => _index.Find(customId);

    /// <summary>The request at a place.</summary>
    /// <exception cref="IOException">The file has changed.</exception>
    public BatchRequest Read(int place) => With(_index.Read(place), null, _inputs[place]);

    /// <summary>Returns the row with an ID, counted from 0; -1 if there is none.</summary>
    internal int RowOf(string customId) =>
        _copyIds.TryGet(customId, out int copy) ? _copies[copy].Row
        : _index.Find(customId) is >= 0 and int place ? place + CopiesBefore(place)
        : -1;

    /// <summary>Returns the number of copies before the row of a request. Copies are in the order of their rows.</summary>
    private int CopiesBefore(int place)
    {
        (int low, int high) = (0, _copies.Count);
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = _copies[middle].After <= place ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    /// <summary>Adds a row with its own request. The file number of the line refers to the order of <see cref="Open"/>.</summary>
    internal void Add(BatchRequest request, LinePlace line)
    {
        _index.Add(request.CustomId, line);
        _inputs.Add(request.InputObject);
    }

    /// <summary>Adds a row that gets the result of an earlier request.</summary>
    internal void AddCopy(BatchRequest request, int place)
    {
        _copyIds.TryAdd(request.CustomId, _copies.Count, out _);
        _copies.Add(new Copy(place, _index.Count, RowCount, request.InputObject));
    }

    /// <inheritdoc cref="RequestIndex.Open"/>
    internal void Open(string path) => _index.Open(path);

    /// <summary>Returns the results of all rows of a request.</summary>
    internal IEnumerable<BatchResult> Answer(int place, BatchResult result)
    {
        result.Request ??= Read(place);
        return _copies.Count == 0 ? [result] : CopiesOf[place].Select(number => AnswerCopy(number, result)).Prepend(result);
    }

    /// <summary>Returns the results of all rows in their order.</summary>
    /// <param name="resultOf">Returns the result of a request; null if it has none.</param>
    internal IEnumerable<BatchResult> InOrder(Func<int, BatchResult?> resultOf)
    {
        int copy = 0;
        for (int place = 0; place <= Count; place++)
        {
            for (; copy < _copies.Count && _copies[copy].After == place; copy++)
            {
                if (Joined(_copies[copy].Place) is { } original)
                {
                    yield return AnswerCopy(copy, original);
                }
            }

            if (place < Count && Joined(place) is { } result)
            {
                yield return result;
            }
        }

        BatchResult? Joined(int place)
        {
            BatchResult? result = resultOf(place);
            if (result is not null)
            {
                result.Request ??= Read(place);
            }

            return result;
        }
    }

    public void Dispose() => _index.Dispose();

    private BatchResult AnswerCopy(int number, BatchResult result)
    {
        string id = _copyIds.IdAt(number);
        return result.CopyFor(id, With(result.Request!, id, _copies[number].InputObject));
    }

    private static BatchRequest With(BatchRequest request, string? customId, object? inputObject) => new()
    {
        CustomId = customId ?? request.CustomId,
        Method = request.Method,
        Url = request.Url,
        BodyUtf8 = request.BodyUtf8,
        InputObject = inputObject,
    };

    /// <summary>A row that shares the request of another row.</summary>
    /// <param name="Place">The place of that request.</param>
    /// <param name="After">The number of requests before the row.</param>
    /// <param name="Row">The row, counted from 0.</param>
    /// <param name="InputObject">The input object of the row.</param>
    private readonly record struct Copy(int Place, int After, int Row, object? InputObject);
}
