using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>
/// The state of each request of a run. Decides whether a result is final or its request is retried, and returns final
/// results to their rows, or stores them until the end if the run is ordered.
/// </summary>
internal sealed class RequestOutcomes(RunRequests requests, RunAttempts attempts, EarlyStop stop, RunOptions options)
{
    private readonly State[] _states = new State[requests.Count];

    /// <summary>In an ordered run: final results without a line that the spool could read again.</summary>
    private readonly Dictionary<int, BatchResult> _resultsWithoutLine = [];

    /// <summary>The parts whose results an earlier process downloaded.</summary>
    private readonly HashSet<RunPart> _earlierParts = [];

    private enum State : byte
    {
        Waiting,
        ToRetry,
        Settled,
        Left,
    }

    /// <summary>The current attempt, counted from 1; 0 before the first.</summary>
    public int Attempt { get; private set; }

    /// <summary>Stores the results of an ordered run; null if results are returned as they come.</summary>
    public ResultSpool? Spool { get; } = options.Ordered ? new ResultSpool(requests.Count, options.ValueReader) : null;

    /// <summary>Whether the run stops early and settles each request with its last result, without retries.</summary>
    public bool IsClosing { get; set; }

    /// <summary>Whether the next attempt contains requests that the user asked to send again.</summary>
    public bool HasUserRetry { get; set; }

    /// <summary>The requests that are to be retried, in their order.</summary>
    public IEnumerable<int> ToRetry => Enumerable.Range(0, _states.Length).Where(place => _states[place] == State.ToRetry);

    /// <summary>The requests without a final result, in their order.</summary>
    public IEnumerable<int> NotSettled => Enumerable.Range(0, _states.Length).Where(place => !IsSettled(place));

    /// <summary>Starts the next attempt: its requests wait for a result.</summary>
    public void BeginAttempt(IEnumerable<PlacedPart> parts)
    {
        Attempt++;
        foreach (int place in parts.SelectMany(part => part.Places).Where(place => !IsSettled(place)))
        {
            _states[place] = State.Waiting;
        }
    }

    /// <summary>Records that an earlier process downloaded the results of a part.</summary>
    public void AddEarlierPart(RunPart part) => _earlierParts.Add(part);

    public bool IsSettled(int place) => _states[place] == State.Settled;

    public bool IsWaiting(int place) => _states[place] == State.Waiting;

    /// <summary>Whether the batch of the request was not waited for until its end.</summary>
    public bool IsLeft(int place) => _states[place] == State.Left;

    /// <summary>The requests of a list that wait for a result. Evaluated lazily.</summary>
    public IEnumerable<int> WaitingOf(IReadOnlyList<int> places) => places.Where(IsWaiting);

    /// <summary>Makes the requests of a part that are to be retried wait again, so that their last result becomes final.</summary>
    public void WaitAgain(IReadOnlyList<int> places)
    {
        foreach (int place in places.Where(place => _states[place] == State.ToRetry))
        {
            _states[place] = State.Waiting;
        }
    }

    /// <summary>Records that a batch is not waited for any longer.</summary>
    public void Leave(IReadOnlyList<int> places)
    {
        foreach (int place in places.Where(IsWaiting))
        {
            _states[place] = State.Left;
        }
    }

    /// <summary>Takes an error as the result of a request; see <see cref="Settle"/>.</summary>
    public IEnumerable<BatchResult> SettleAs(
        int place, ServiceError error, RunPart? part, string? batchId, ResultStatus status = ResultStatus.Failed, bool isCounted = true)
    {
        BatchRequest request = requests.Read(place);
        return Settle(
            place,
            new BatchResult { CustomId = request.CustomId, Status = status, Error = error, Request = request, BatchId = batchId },
            part,
            isCounted: isCounted);
    }

    /// <summary>Takes a result as final, or marks its request to be retried.</summary>
    /// <param name="place">The request.</param>
    /// <param name="result">Its result.</param>
    /// <param name="part">The part that the result belongs to; null if the part was not sent.</param>
    /// <param name="line">The line of the result in the spool; null if it is the line that was just read, or if there is none.</param>
    /// <param name="isCounted">Whether the result counts for <see cref="RunOptions.MaxFailed"/>.</param>
    /// <returns>The results for the rows of the request; none if it is retried, or if the run is ordered.</returns>
    public IEnumerable<BatchResult> Settle(int place, BatchResult result, RunPart? part, LinePlace? line = null, bool isCounted = true)
    {
        bool isEarlier = part is not null && _earlierParts.Contains(part);
        if (part is not null && !isEarlier && !IsClosing)
        {
            stop.Failures.Observe(result, isResumed: _earlierParts.Count > 0);
        }

        if (IsRetried(place, result, part, isEarlier))
        {
            _states[place] = State.ToRetry;
            return [];
        }

        if (part is not { EndedBeforeStop: true } && isCounted)
        {
            stop.Failures.CountFinal(result);
        }

        _states[place] = State.Settled;
        if (Spool is null)
        {
            return requests.Answer(place, result);
        }

        if (result.JsonUtf8.IsEmpty)
        {
            _resultsWithoutLine[place] = result;
        }
        else
        {
            Spool.Add(place, line ?? Spool.Store(result));
        }

        return [];
    }

    /// <summary>Returns the final results of an ordered run in the order of the rows.</summary>
    public IEnumerable<BatchResult> InOrder(ResultSpool spool) => requests.InOrder(place =>
        !IsSettled(place) ? null : _resultsWithoutLine.TryGetValue(place, out BatchResult? result) ? result : spool.Read(place));

    private bool IsRetried(int place, BatchResult result, RunPart? part, bool isEarlier)
    {
        if (IsClosing || result.Status == ResultStatus.Succeeded)
        {
            return false;
        }

        // If the store has a later attempt with this request, that attempt was made from this result, whatever the options are now.
        if (attempts.LastOf(place) > Attempt)
        {
            return true;
        }

        bool isResumed = result.Status == ResultStatus.Cancelled && part is { WasStopped: true } && !stop.IsStopped;
        bool isUserRetry = options.RetryFailed && Attempt <= attempts.CountAtStart && FailureWatch.HasFailed(result)
            && (isEarlier || RunRetryRules.MayHaveBeenBilled(result));
        HasUserRetry |= isResumed || isUserRetry;
        if (isResumed || isUserRetry)
        {
            return true;
        }

        bool isRetried = attempts.TryNumberOf(Attempt) < options.MaxAttempts && RunRetryRules.IsWorthRetrying(result);
        if (isRetried && part is not { EndedBeforeStop: true })
        {
            stop.Failures.CountRetry();
        }

        return isRetried;
    }
}
