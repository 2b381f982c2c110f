using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Runs;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>Counts the results of a run, and makes its summary.</summary>
/// <param name="prices">The prices for the cost.</param>
internal sealed class RunTally(PriceTable prices)
{
    private readonly long _startedAt = TimeProvider.System.GetTimestamp();
    private readonly ResultMeasure _measure = new(prices);
    private int _perhapsPaid;
    private int _notSent;

    /// <summary>Input objects from which no request could be built.</summary>
    public int LeftOut { get; set; }

    public void Add(BatchResult result)
    {
        _measure.Add(result);
        _perhapsPaid += RunRetryRules.MayHaveBeenBilled(result) ? 1 : 0;
        _notSent += result.Error?.Code == RunRetryRules.NotSentCode ? 1 : 0;
    }

    /// <summary>Returns the summary of the run.</summary>
    /// <param name="rows">Rows with a request.</param>
    /// <param name="requests">Requests; fewer than the rows if equal requests were sent once.</param>
    /// <param name="engine">The engine of the run; null if nothing ran.</param>
    /// <param name="created">Batches that this command created.</param>
    /// <param name="retries">Retries by the local service; null if not known.</param>
    public BatchRunSummary Summarize(long rows, long requests, RunEngine? engine, int created, RetryCounts? retries = null) => new()
    {
        Rows = rows + LeftOut,
        LeftOut = LeftOut,
        Requests = requests,
        Results = _measure.Sum(),
        BatchIds = engine?.BatchIds ?? [],
        BatchesCreated = created,
        Rounds = engine?.Attempts ?? 0,
        IsStopped = engine?.IsStopped == true,
        Retries = retries,
        Elapsed = TimeProvider.System.GetElapsedTime(_startedAt),
    };

    /// <summary>
    /// Returns the warning that rows have no answer, which also says what the same command would do with the rows of a checkpoint; null if
    /// all rows have an answer.
    /// </summary>
    public string? WarningFor(BatchRunSummary summary, bool hasCheckpoint)
    {
        if (summary.WithoutAnswer is not { Length: > 0 } unanswered)
        {
            return null;
        }

        string text = Messages.Text("Warning.RowsWithoutAnswer", summary.Rows - summary.Results.Succeeded, summary.Rows, unanswered);
        return hasCheckpoint ? string.Join(' ', NextSteps(summary).Prepend(text)) : text;
    }

    private IEnumerable<string> NextSteps(BatchRunSummary summary)
    {
        if (summary.Unanswered > 0)
        {
            yield return Messages.Text("Warning.RowsStillOpen", summary.Unanswered);
        }

        if (_notSent > 0)
        {
            yield return Messages.Text("Warning.RowsNotSent", _notSent);
        }

        if (summary.Results.Failed + summary.Results.Expired + summary.Results.Missing > _notSent)
        {
            yield return Messages.Text("Warning.RowsToRetry");
        }

        if (_perhapsPaid > 0)
        {
            yield return Messages.Text("Warning.RowsPerhapsPaid", _perhapsPaid);
        }
    }
}
