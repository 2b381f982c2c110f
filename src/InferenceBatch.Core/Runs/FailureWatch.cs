using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Counts the failures of a run: tells of the first results where all have one cause, and says when the limit is reached.</summary>
internal sealed class FailureWatch(FailureLimit? limit, RunObserver observer)
{
    /// <summary>How many results with one cause, and no others, are told of.</summary>
    private const int FirstResults = 20;

    private int _first;
    private ServiceError? _cause;

    /// <summary>Final results so far that count for the limit.</summary>
    public long Results { get; private set; }

    /// <summary>How many of them have failed.</summary>
    public long Failed { get; private set; }

    /// <summary>Whether as many have failed as may.</summary>
    public bool IsLimitReached => limit?.IsReached(Failed, Results) == true;

    /// <summary>Takes a result as it comes from the service, final or not.</summary>
    public void Observe(BatchResult result)
    {
        if (_first >= FirstResults)
        {
            return;
        }

        bool isSame = HasFailed(result) && result.Error is { } error && error.Code == (_cause ??= error).Code;
        _first = isSame ? _first + 1 : FirstResults + 1;
        if (_first == FirstResults)
        {
            observer.OnAllFailed(FirstResults, _cause!);
        }
    }

    /// <summary>Takes a final result.</summary>
    public void Settled(BatchResult result)
    {
        Results++;
        Failed += HasFailed(result) ? 1 : 0;
    }

    /// <summary>Whether a request has no answer though nobody cancelled it.</summary>
    public static bool HasFailed(BatchResult result) => result.Status is ResultStatus.Failed or ResultStatus.Expired or ResultStatus.Missing;
}
