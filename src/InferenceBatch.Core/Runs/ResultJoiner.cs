using System.Collections;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>
/// Joins results to their requests by <c>custom_id</c>, whatever order and however many files they come in: a repeated
/// id counts once, and what never came back is listed as <see cref="ResultStatus.Missing"/>.
/// </summary>
/// <param name="requests">What was asked.</param>
/// <param name="spool">Holds results back until the end, to give them in input order; null to give each as it comes.</param>
public sealed class ResultJoiner(IRequestSource requests, ResultSpool? spool = null)
{
    private readonly BitArray _seen = new(requests.Count);

    /// <summary>Results dropped because their id had one already.</summary>
    public int Duplicates { get; private set; }

    /// <summary>Results whose id is none of the requests'.</summary>
    public int NotAskedFor { get; private set; }

    /// <summary>Requests without a result so far.</summary>
    public int Missing { get; private set; } = requests.Count;

    /// <summary>Joins one result; null when it is a duplicate or is held back for its order.</summary>
    public BatchResult? Take(BatchResult result)
    {
        int place = requests.Find(result.CustomId);
        if (place < 0)
        {
            NotAskedFor++;
            return spool?.ReadWhole(result) ?? result; // It may have been read for its id alone.
        }

        if (_seen[place])
        {
            Duplicates++;
            return null;
        }

        _seen[place] = true;
        Missing--;
        if (spool is not null)
        {
            spool.Add(place, result);
            return null;
        }

        result.Request = requests.Read(place);
        return result;
    }

    /// <summary>Gives what was held back, in input order, and a missing result for each request without one.</summary>
    /// <param name="listMissing">Whether all results are known to be in; else none is called missing.</param>
    public IEnumerable<BatchResult> Finish(bool listMissing = true)
    {
        for (int place = 0; place < _seen.Length; place++)
        {
            if (_seen[place] && spool is not null)
            {
                BatchResult result = spool.Read(place);
                result.Request = requests.Read(place);
                yield return result;
            }
            else if (!_seen[place] && listMissing)
            {
                yield return MissingResult(requests.Read(place));
            }
        }
    }

    /// <summary>The result of a request that never came back.</summary>
    public static BatchResult MissingResult(BatchRequest request) => new()
    {
        CustomId = request.CustomId,
        Status = ResultStatus.Missing,
        Error = new ServiceError("missing", "No line came back for this request."),
        Request = request,
    };
}
