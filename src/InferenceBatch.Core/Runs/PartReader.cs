using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Reads the downloaded results of a part, and settles all its requests, also those without a result line.</summary>
internal sealed class PartReader(RunRequests requests, RequestOutcomes outcomes, RunOptions options, RunObserver observer)
{
    /// <summary>The number of results whose ID does not belong to a request of the run.</summary>
    public int Unrequested { get; private set; }

    /// <summary>Reads the results of a part.</summary>
    /// <param name="placed">The part, whose results are on disk.</param>
    /// <param name="problem">Why some results are not on disk; null if all are.</param>
    /// <param name="cancellationToken">Cancels the read.</param>
    public async IAsyncEnumerable<BatchResult> ReadAsync(PlacedPart placed, ServiceException? problem, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        RunPart part = placed.Part;
        Batch batch = part.Ended!;
        if (batch.Status == BatchStatus.Failed && !outcomes.IsClosing)
        {
            observer.OnBatchFailed(batch);
        }

        if (problem is not null)
        {
            observer.OnProblem(problem.Kind != ServiceErrorKind.DownloadIncomplete ? problem
                : new ServiceException(problem.Kind, Messages.Text("DownloadIncomplete.NotWhole", batch.Id, problem.Message), problem));
        }

        var reader = new ResultReader(options.ValueReader)
        {
            AllowsIncompleteLastLine = true, // Whether the files are complete was checked after the download.
            OnBadLine = problem is not null ? null : (line, reason) => observer.OnProblem(new ServiceException(
                ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete", line, batch.Id, reason))),
        };
        using ResultSpool? ownSpool = outcomes.Spool is null ? new ResultSpool(0, options.ValueReader) : null;
        ResultSpool spool = outcomes.Spool ?? ownSpool!;
        var failed = new FailedLines(spool);
        foreach (string path in new[] { part.OutputPath, part.ErrorPath }.Where(File.Exists))
        {
            spool.ReadFrom(path, batch.Id, part.File.Endpoint);
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
            await using ConfiguredAsyncDisposable closing = stream.ConfigureAwait(false);
            await foreach (BatchResult line in reader.ReadAsync(stream, batch.Id, part.File.Endpoint, cancellationToken).ConfigureAwait(false))
            {
                foreach (BatchResult result in Take(line, part, failed))
                {
                    yield return result;
                }
            }
        }

        foreach (BatchResult result in failed.TakeAll().SelectMany(failure => outcomes.Settle(failure.Place, failure.Result, part, failure.Line)))
        {
            yield return result;
        }

        foreach (BatchResult result in SettleRest(placed, batch, problem))
        {
            yield return result;
        }
    }

    /// <summary>Takes a line as the result of its request. A failure waits until all lines are read, because a success may follow.</summary>
    private IEnumerable<BatchResult> Take(BatchResult result, RunPart part, FailedLines failed)
    {
        int place = requests.Find(result.CustomId);
        if (place < 0)
        {
            Unrequested++;
            return [];
        }

        if (outcomes.IsSettled(place))
        {
            return [];
        }

        if (result.Status == ResultStatus.Succeeded)
        {
            failed.Remove(place);
            return outcomes.Settle(place, result, part);
        }

        if (outcomes.IsWaiting(place))
        {
            failed.Add(place, result);
        }

        return [];
    }

    /// <summary>Settles the requests without a result line.</summary>
    private IEnumerable<BatchResult> SettleRest(PlacedPart placed, Batch batch, ServiceException? problem)
    {
        // Duplicate lines may hide that the results of other requests are missing, although the counts of the batch include them.
        int answered = placed.Places.Count(place => !outcomes.IsWaiting(place));
        ServiceException? incomplete = problem
            ?? (answered < Math.Min(batch.RequestCounts.Done, placed.Places.Count) ? PartFetcher.Incomplete(batch, answered) : null);
        return batch.Status switch
        {
            BatchStatus.Failed => SettleFailed(placed, batch),
            _ when incomplete is not null => SettleUnavailable(placed, batch, incomplete),
            BatchStatus.Cancelled => SettleCancelled(placed, batch),
            _ => SettleMissing(placed),
        };
    }

    /// <summary>Requests that a failed batch did not answer would fail again, so they are not retried. A batch that failed its validation has no results at all.</summary>
    private IEnumerable<BatchResult> SettleFailed(PlacedPart placed, Batch batch)
    {
        var byLine = batch.Errors.Where(error => error.Line is not null).ToLookup(error => error.Line!.Value);
        var other = new ServiceError("batch_failed", $"The batch {batch.Id} failed: {(batch.Errors.Count > 0 ? batch.Errors[0] : "the service gave no reason.")}");
        return placed.Places.Select((place, index) => (Place: place, Index: index)).Where(request => outcomes.IsWaiting(request.Place))
            .SelectMany(request => outcomes.SettleAs(request.Place, byLine[request.Index + 1].FirstOrDefault() ?? other, placed.Part, batch.Id));
    }

    /// <summary>A result that cannot be read is billed all the same, so its request is not sent again.</summary>
    private IEnumerable<BatchResult> SettleUnavailable(PlacedPart placed, Batch batch, ServiceException reason)
    {
        var error = new ServiceError(
            ResultJoiner.UnavailableCode,
            $"The batch {batch.Id} has ended, but the result of this request is not available: {reason.Message} The request may have been answered and billed, so it was not sent again. Use Get-BatchResult -Id '{batch.Id}' to read the results when the service returns them.");
        return outcomes.WaitingOf(placed.Places).SelectMany(place => outcomes.SettleAs(place, error, placed.Part, batch.Id, ResultStatus.Missing));
    }

    /// <summary>Cancelled requests are not sent again, even if the service has no lines for them.</summary>
    private IEnumerable<BatchResult> SettleCancelled(PlacedPart placed, Batch batch)
    {
        var error = new ServiceError("batch_cancelled", $"The batch {batch.Id} was cancelled before this request was answered.");
        return outcomes.WaitingOf(placed.Places).SelectMany(place => outcomes.SettleAs(place, error, placed.Part, batch.Id, ResultStatus.Cancelled));
    }

    private IEnumerable<BatchResult> SettleMissing(PlacedPart placed) =>
        outcomes.WaitingOf(placed.Places).SelectMany(place => outcomes.Settle(place, ResultJoiner.MissingResult(requests.Read(place)), placed.Part));
}
