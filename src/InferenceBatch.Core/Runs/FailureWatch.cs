using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Counts the failures of a run. Reports when the first results all fail with the same code, and says when the limit is reached.</summary>
internal sealed class FailureWatch(FailureLimit? limit, RunObserver observer)
{
    /// <summary>How many first results must have failed with the same code for a report.</summary>
    private const int FirstResults = 20;

    private int _sameFailures;
    private BatchResult? _firstFailure;
    private long _toRetry;

    /// <summary>The number of final results that count for the limit.</summary>
    public long Results { get; private set; }

    /// <summary>The number of them that failed.</summary>
    public long Failed { get; private set; }

    /// <summary>Whether the number of failures has reached the limit.</summary>
    public bool IsLimitReached => limit?.IsReached(Failed, Results) == true;

    /// <summary>Observes a result from the service, final or not.</summary>
    /// <param name="result">The result.</param>
    /// <param name="isResumed">Whether the run also has results of an earlier process, which this class does not observe.</param>
    public void Observe(BatchResult result, bool isResumed)
    {
        if (_sameFailures >= FirstResults)
        {
            return;
        }

        bool isSame = HasFailed(result) && result.Error?.Code == (_firstFailure ??= result).Error?.Code;
        _sameFailures = isSame ? _sameFailures + 1 : FirstResults + 1;
        if (_sameFailures == FirstResults)
        {
            observer.OnAllFailed(FirstResults, _firstFailure!, isResumed);
        }
    }

    /// <summary>Counts a final result.</summary>
    public void CountFinal(BatchResult result)
    {
        Results++;
        Failed += HasFailed(result) ? 1 : 0;
    }

    /// <summary>Counts a failure whose request will be retried, and which is therefore not final.</summary>
    public void CountRetry() => _toRetry++;

    /// <summary>
    /// Ends an attempt, before the retries are sent. If nothing has succeeded, the retries would only pay for the same failures,
    /// so then the failures that would be retried count for the limit too.
    /// </summary>
    public void EndAttempt()
    {
        if (Results == Failed && limit?.IsReached(Failed + _toRetry, Results + _toRetry) == true)
        {
            (Failed, Results) = (Failed + _toRetry, Results + _toRetry);
        }

        _toRetry = 0;
    }

    /// <summary>Whether a request has no answer, although it was not cancelled.</summary>
    public static bool HasFailed(BatchResult result) => result.Status is ResultStatus.Failed or ResultStatus.Expired or ResultStatus.Missing;
}
