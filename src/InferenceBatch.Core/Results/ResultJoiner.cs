using System.Collections;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Joins results to their requests by <c>custom_id</c>, whatever order and however many files they come in. Each request
/// gets one result: its first success; else its last failure, which is held back until the end because a success may
/// follow; else one that is <see cref="ResultStatus.Missing"/>.
/// </summary>
/// <param name="requests">What was asked.</param>
/// <param name="spool">Holds results back until the end, to give them in input order; null to give each success as it comes.</param>
/// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
public sealed class ResultJoiner(IRequestSource requests, ResultSpool? spool = null, Func<string, object?>? valueReader = null) : IDisposable
{
    private readonly BitArray _seen = new(requests.Count);
    private ResultSpool? _failures;
    private FailedLines? _failed;
    private (string? BatchId, string? Endpoint) _source;

    /// <summary>Lines dropped because another line of their request is its result.</summary>
    public int Duplicates { get; private set; }

    /// <summary>Results whose id is none of the requests'.</summary>
    public int NotAskedFor { get; private set; }

    /// <summary>Requests without a result so far.</summary>
    public int Missing { get; private set; } = requests.Count;

    /// <summary>Joins one result; null when it is a duplicate or is held back: for its order, or because it has failed.</summary>
    /// <exception cref="IOException">It cannot be kept in a temporary file.</exception>
    public BatchResult? Take(BatchResult result)
    {
        int place = requests.Find(result.CustomId);
        if (place < 0)
        {
            NotAskedFor++;
            return spool?.ReadWhole(result) ?? result; // It may have been read for its id alone.
        }

        bool isFirst = !_seen[place];
        Missing -= isFirst ? 1 : 0;
        Duplicates += isFirst ? 0 : 1;
        _seen[place] = true;
        if (spool is not null)
        {
            if (isFirst || FailedLines.Supersedes(spool.ReadWhole(result), spool.Read(place)))
            {
                spool.Add(place, result);
            }

            return null;
        }

        if (result.Status != ResultStatus.Succeeded)
        {
            Hold(place, result, isFirst);
            return null;
        }

        if (!isFirst && _failed?.Remove(place) != true)
        {
            return null;
        }

        result.Request = requests.Read(place);
        return result;
    }

    /// <summary>Gives what was held back, in input order, and a missing result for each request without one.</summary>
    /// <param name="listMissing">Whether all results are known to be in; else none is called missing.</param>
    /// <param name="reason">Why results may be missing; null when no line came back for them.</param>
    public IEnumerable<BatchResult> Finish(bool listMissing = true, string? reason = null)
    {
        using IEnumerator<(int Place, LinePlace Line, BatchResult Result)> failures = (_failed?.TakeAll() ?? []).GetEnumerator();
        bool hasFailure = failures.MoveNext();
        for (int place = 0; place < _seen.Length; place++)
        {
            BatchResult? held = _seen[place] ? spool?.Read(place) : null;
            if (hasFailure && failures.Current.Place == place)
            {
                held = failures.Current.Result;
                hasFailure = failures.MoveNext();
            }

            if (held is not null)
            {
                held.Request = requests.Read(place);
                yield return held;
            }
            else if (!_seen[place] && listMissing)
            {
                yield return MissingResult(requests.Read(place), reason);
            }
        }
    }

    public void Dispose() => _failures?.Dispose();

    /// <summary>Holds a failure back, unless the request has succeeded.</summary>
    private void Hold(int place, BatchResult failure, bool isFirst)
    {
        _failed ??= new FailedLines(_failures = new ResultSpool(0, valueReader));
        if (!isFirst && !_failed.Has(place))
        {
            return;
        }

        if (!_failures!.HasSource || _source != (failure.BatchId, failure.Endpoint))
        {
            _failures.CopyFrom(failure.BatchId, failure.Endpoint);
            _source = (failure.BatchId, failure.Endpoint);
        }

        _failed.Add(place, failure);
    }

    /// <summary>The code of a request whose batch has ended, and whose result the service does not give.</summary>
    internal const string UnavailableCode = "result_unavailable";

    /// <summary>The result of a request that never came back.</summary>
    /// <param name="request">The request.</param>
    /// <param name="reason">Why its result cannot be read, where that is known.</param>
    public static BatchResult MissingResult(BatchRequest request, string? reason = null) => new()
    {
        CustomId = request.CustomId,
        Status = ResultStatus.Missing,
        Error = reason is null ? new ServiceError("missing", "The result files have no line for this request.") : new ServiceError(UnavailableCode, reason),
        Request = request,
    };
}
