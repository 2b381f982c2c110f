using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>
/// The requests a run sends, each at a place counted from 0, and the rows that wait for their answers: one each, unless
/// equal bodies are sent once. About 80 bytes a row in memory, its object aside.
/// </summary>
public sealed class RunRequests : IDisposable
{
    private readonly RequestIndex _index = new();
    private readonly ChunkedList<object?> _inputs = new();
    private readonly Utf8KeyMap _copyIds = new();
    private readonly ChunkedList<Copy> _copies = new();
    private ILookup<int, int>? _copiesOf;

    /// <summary>Requests sent.</summary>
    public int Count => _index.Count;

    /// <summary>Rows that get a result.</summary>
    public int RowCount => _index.Count + _copies.Count;

    /// <summary>The copies of each request, by their numbers; made when first asked for, after the last row.</summary>
    private ILookup<int, int> CopiesOf => _copiesOf ??= Enumerable.Range(0, _copies.Count).ToLookup(number => _copies[number].Place);

    /// <summary>The place of a request, by its id; -1 when there is none.</summary>
    public int Find(string customId) => _index.Find(customId);

    /// <summary>The request at a place.</summary>
    /// <exception cref="IOException">Its file changed.</exception>
    public BatchRequest Read(int place) => With(_index.Read(place), null, _inputs[place]);

    /// <summary>Which row has an id, counted from 0; -1 when none has.</summary>
    internal int RowOf(string customId) =>
        _copyIds.TryGet(customId, out int copy) ? _copies[copy].Row
        : _index.Find(customId) is >= 0 and int place ? place + CopiesBefore(place)
        : -1;

    /// <summary>How many copies stand before the row of a request: they are in the order of their rows.</summary>
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

    /// <summary>Adds a row with a request of its own, whose line is in the file of that number among those opened.</summary>
    internal void Add(BatchRequest request, LinePlace line)
    {
        _index.Add(request.CustomId, line);
        _inputs.Add(request.InputObject);
    }

    /// <summary>Adds a row that an earlier request answers.</summary>
    internal void AddCopy(BatchRequest request, int place)
    {
        _copyIds.TryAdd(request.CustomId, _copies.Count, out _);
        _copies.Add(new Copy(place, _index.Count, RowCount, request.InputObject));
    }

    /// <inheritdoc cref="RequestIndex.Open"/>
    internal void Open(string path) => _index.Open(path);

    /// <summary>The results of all rows that a request's result answers.</summary>
    internal IEnumerable<BatchResult> Answer(int place, BatchResult result)
    {
        result.Request ??= Read(place);
        return _copies.Count == 0 ? [result] : CopiesOf[place].Select(number => AnswerCopy(number, result)).Prepend(result);
    }

    /// <summary>The results of all rows in their order.</summary>
    /// <param name="resultOf">The result of a request; null when it has none.</param>
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

    /// <summary>A row that another row's request stands for.</summary>
    /// <param name="Place">The place of that request.</param>
    /// <param name="After">How many requests stand before the row.</param>
    /// <param name="Row">The row, counted from 0.</param>
    /// <param name="InputObject">The object it was made from.</param>
    private readonly record struct Copy(int Place, int After, int Row, object? InputObject);
}
