using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Counts the failures of a run: tells of the first results where all have one cause, and says when the limit is reached.</summary>
internal sealed class FailureWatch(FailureLimit? limit, RunObserver observer)
{
    /// <summary>How many results with one cause, and no others, are told of.</summary>
    private const int FirstResults = 20;

    private int _first;
    private BatchResult? _cause;
    private long _toRetry;

    /// <summary>Final results so far that count for the limit.</summary>
    public long Results { get; private set; }

    /// <summary>How many of them have failed.</summary>
    public long Failed { get; private set; }

    /// <summary>Whether as many have failed as may.</summary>
    public bool IsLimitReached => limit?.IsReached(Failed, Results) == true;

    /// <summary>Takes a result as it comes from the service, final or not.</summary>
    /// <param name="result">The result.</param>
    /// <param name="isResumed">Whether the run has others, of an earlier process, which are not shown here.</param>
    public void Observe(BatchResult result, bool isResumed)
    {
        if (_first >= FirstResults)
        {
            return;
        }

        bool isSame = HasFailed(result) && result.Error?.Code == (_cause ??= result).Error?.Code;
        _first = isSame ? _first + 1 : FirstResults + 1;
        if (_first == FirstResults)
        {
            observer.OnAllFailed(FirstResults, _cause!, isResumed);
        }
    }

    /// <summary>Takes a final result.</summary>
    public void CountFinal(BatchResult result)
    {
        Results++;
        Failed += HasFailed(result) ? 1 : 0;
    }

    /// <summary>Takes a failure whose request will be sent again: it has not failed yet.</summary>
    public void CountRetry() => _toRetry++;

    /// <summary>
    /// Ends an attempt, before anything is sent again. Where nothing has succeeded, that would only pay for the same
    /// failures: then all of them count.
    /// </summary>
    public void EndAttempt()
    {
        if (Results == Failed && limit?.IsReached(Failed + _toRetry, Results + _toRetry) == true)
        {
            (Failed, Results) = (Failed + _toRetry, Results + _toRetry);
        }

        _toRetry = 0;
    }

    /// <summary>Whether a request has no answer though nobody cancelled it.</summary>
    public static bool HasFailed(BatchResult result) => result.Status is ResultStatus.Failed or ResultStatus.Expired or ResultStatus.Missing;
}
