using System.Collections;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Matches results with their requests by <c>custom_id</c>, in any order and from any number of files. Each request gets one
/// result: its first success; otherwise its last failure, which waits until the end because a success may follow; otherwise
/// a result that is <see cref="ResultStatus.Missing"/>.
/// </summary>
/// <param name="requests">The requests.</param>
/// <param name="spool">Stores all results until the end, to return them in input order; null to return each success as it comes.</param>
/// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
public sealed class ResultJoiner(IRequestSource requests, ResultSpool? spool = null, Func<string, object?>? valueReader = null) : IDisposable
{
    private readonly BitArray _seen = new(requests.Count);
    private ResultSpool? _failures;
    private FailedLines? _failed;
    private (string? BatchId, string? Endpoint) _source;

    /// <summary>The number of lines that were dropped because another line is the result of their request.</summary>
    public int Duplicates { get; private set; }

    /// <summary>The number of results whose ID does not belong to a request.</summary>
    public int Unrequested { get; private set; }

    /// <summary>The number of requests without a result so far.</summary>
    public int Missing { get; private set; } = requests.Count;

    /// <summary>Adds a result. Returns it with its request; null if it is a duplicate, has failed, or waits for its order.</summary>
    /// <exception cref="IOException">The temporary file cannot be written.</exception>
    public BatchResult? Take(BatchResult result)
    {
        int place = requests.Find(result.CustomId);
        if (place < 0)
        {
            Unrequested++;
            return spool?.ReadFull(result) ?? result; // It may have been read for its ID only.
        }

        bool isFirst = !_seen[place];
        Missing -= isFirst ? 1 : 0;
        Duplicates += isFirst ? 0 : 1;
        _seen[place] = true;
        if (spool is not null)
        {
            if (isFirst || FailedLines.Supersedes(spool.ReadFull(result), spool.Read(place)))
            {
                spool.Add(place, result);
            }

            return null;
        }

        if (result.Status != ResultStatus.Succeeded)
        {
            StoreFailure(place, result, isFirst);
            return null;
        }

        if (!isFirst && _failed?.Remove(place) != true)
        {
            return null;
        }

        result.Request = requests.Read(place);
        return result;
    }

    /// <summary>Returns the stored results in input order, and a missing result for each request without one.</summary>
    /// <param name="listMissing">Whether all results are available; otherwise no missing results are returned.</param>
    /// <param name="reason">Why results may be missing; null if the batch has no line for them.</param>
    public IEnumerable<BatchResult> Finish(bool listMissing = true, string? reason = null)
    {
        using IEnumerator<(int Place, LinePlace Line, BatchResult Result)> failures = (_failed?.TakeAll() ?? []).GetEnumerator();
        bool hasFailure = failures.MoveNext();
        for (int place = 0; place < _seen.Length; place++)
        {
            BatchResult? stored = _seen[place] ? spool?.Read(place) : null;
            if (hasFailure && failures.Current.Place == place)
            {
                stored = failures.Current.Result;
                hasFailure = failures.MoveNext();
            }

            if (stored is not null)
            {
                stored.Request = requests.Read(place);
                yield return stored;
            }
            else if (!_seen[place] && listMissing)
            {
                yield return MissingResult(requests.Read(place), reason);
            }
        }
    }

    public void Dispose() => _failures?.Dispose();

    /// <summary>Stores a failure, unless the request has succeeded.</summary>
    private void StoreFailure(int place, BatchResult failure, bool isFirst)
    {
        _failed ??= new FailedLines(_failures = new ResultSpool(0, valueReader));
        if (!isFirst && !_failed.Has(place))
        {
            return;
        }

        if (!_failures!.HasSource || _source != (failure.BatchId, failure.Endpoint))
        {
            _failures.CopyResults(failure.BatchId, failure.Endpoint);
            _source = (failure.BatchId, failure.Endpoint);
        }

        _failed.Add(place, failure);
    }

    /// <summary>The error code of requests whose batch has ended, but whose result cannot be read.</summary>
    internal const string UnavailableCode = "result_unavailable";

    /// <summary>Returns the result of a request without a line.</summary>
    /// <param name="request">The request.</param>
    /// <param name="reason">Why its result cannot be read; null if unknown.</param>
    public static BatchResult MissingResult(BatchRequest request, string? reason = null) => new()
    {
        CustomId = request.CustomId,
        Status = ResultStatus.Missing,
        Error = reason is null ? new ServiceError("missing", "The result files have no line for this request.") : new ServiceError(UnavailableCode, reason),
        Request = request,
    };
}
