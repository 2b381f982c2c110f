using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// Downloads the results of a run's parts to disk. Each result is billed, so a result is missing only if the service does not
/// show it within five minutes (<see cref="LateVisibility"/>), and each of the two files is read even if the other one
/// cannot be read.
/// </summary>
internal sealed class PartFetcher(BatchClient client, RunStore store, RunObserver observer)
{
    /// <summary>How often an incomplete or damaged file is downloaded.</summary>
    private const int MaxFetches = 4;

    private static readonly TimeSpan s_noticeDelay = TimeSpan.FromSeconds(10);

    private readonly Dictionary<RunPart, PendingFetch> _pending = [];

    /// <summary>
    /// Downloads the results of a part whose batch has ended. The journal records the download only if the files contain all
    /// results that the batch counts. Otherwise the next process downloads them again.
    /// </summary>
    /// <param name="part">The part.</param>
    /// <param name="mayWait">Whether the caller can wait for results that the service does not show yet.</param>
    /// <param name="cancellationToken">Cancels the download.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>: the key is refused for all files.</exception>
    public async Task<FetchOutcome> FetchAsync(RunPart part, bool mayWait, CancellationToken cancellationToken)
    {
        if (part.IsDownloaded)
        {
            return default;
        }

        if (_pending.TryGetValue(part, out PendingFetch? pending))
        {
            await RefreshAsync(part, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            pending = _pending[part] = new PendingFetch(client.Time);
        }

        Batch batch = part.Ended!;
        int requests = part.File.RequestCount;
        await FetchFileAsync(pending.Output, batch.OutputFileId, part.OutputPath, RetryPolicy.Interactive, cancellationToken).ConfigureAwait(false);
        // If the output file has a result for each request, the error file is tried once only.
        RetryPolicy policy = pending.Output.Ids.Count >= requests ? RetryPolicy.Once : RetryPolicy.Interactive;
        string? errorFileId = batch.ErrorFileId == batch.OutputFileId ? null : batch.ErrorFileId;
        await FetchFileAsync(pending.Errors, errorFileId, part.ErrorPath, policy, cancellationToken).ConfigureAwait(false);
        long answers = pending.Answers;
        ServiceException? problem = pending.Problem;
        bool isIncomplete = BatchOutcome.IsIncomplete(batch, answers, requests);
        bool isLate = problem is null ? isIncomplete : LateVisibility.IsNotFound(problem) || AsksForLongPause(problem);
        if (answers < requests && isLate && mayWait && pending.Visibility.NextWait() is { } wait)
        {
            wait = problem is not null && AsksForLongPause(problem) ? problem.RetryAfter!.Value : wait;
            PrepareRetry(batch, answers, pending, wait);
            return new FetchOutcome(wait, null);
        }

        _pending.Remove(part);
        // A batch that was cancelled before it counted its requests may have no results.
        bool isLost = problem is not null || (isIncomplete && batch is not { Status: BatchStatus.Cancelled, RequestCounts.Total: 0 });
        if (answers < requests && isLost)
        {
            return new FetchOutcome(null, problem ?? Incomplete(batch, answers));
        }

        store.Write(new RunStep(RunStepKind.Downloaded)
        {
            Part = part.Name,
            OutputBytes = RunPart.SizeOf(part.OutputPath),
            ErrorBytes = RunPart.SizeOf(part.ErrorPath),
        });
        if (problem is not null)
        {
            observer.OnFileUnreadable(batch, problem);
        }

        return default;
    }

    /// <summary>Returns the error for a batch whose files contain fewer results than it counts.</summary>
    public static ServiceException Incomplete(Batch batch, long lines) => new(
        ServiceErrorKind.DownloadIncomplete,
        batch is { OutputFileId: null, ErrorFileId: null } ? Messages.Text("DownloadIncomplete.NoFile", batch.Id, batch.RawStatus)
            : batch.RequestCounts.Total > 0 && batch.RequestCounts.Done > 0 ? Messages.Text("DownloadIncomplete.TooFew", batch.Id, batch.RequestCounts.Done, lines)
            : Messages.Text("DownloadIncomplete.Empty", batch.Id));

    /// <summary>Whether a call ended without a retry because the service asked for a pause that is too long for a single call.</summary>
    private static bool AsksForLongPause(ServiceException problem) => problem.IsTransient && problem.RetryAfter > RetryPolicy.LongestPause;

    /// <summary>Downloads one file, and repeats that if it is incomplete or damaged. Afterwards, its readable part is on disk.</summary>
    private async Task FetchFileAsync(FetchedFile file, string? fileId, string path, RetryPolicy policy, CancellationToken cancellationToken)
    {
        if (file.IsComplete && file.Id == fileId)
        {
            return;
        }

        // A file of an interrupted download or a damaged disk must not count.
        File.Delete(path);
        (file.Id, file.Ids, file.Problem, file.IsComplete) = (fileId, [], null, false);
        for (int attempt = 1; fileId is not null && !file.IsComplete; attempt++)
        {
            Exception problem;
            try
            {
                await Download.ToFileAsync(client, fileId, path, null, policy, cancellationToken).ConfigureAwait(false);
                file.Ids = ResultFiles.ReadIds(path);
                store.Sync(path);
                file.IsComplete = true;
                continue;
            }
            catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.DownloadIncomplete)
            {
                problem = exception;
            }
            catch (ServiceException exception) when (exception.Kind != ServiceErrorKind.Unauthorized)
            {
                file.Problem = exception; // The client has retried the call already.
                return;
            }
            catch (IOException exception) when (exception is not FileUnwritableException)
            {
                problem = exception;
            }

            if (attempt == MaxFetches || policy.MaxAttempts == 1)
            {
                Download.KeepPartial(fileId, path);
                file.Ids = ResultFiles.ReadReadableIds(path);
                file.Problem = new ServiceException(ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete.File", fileId, problem.Message), problem);
                return;
            }

            File.Delete(path);
            await Task.Delay(RetryPolicy.DelayAfter(attempt, null), client.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Gets the batch again, because it may name its files by now.</summary>
    private async Task RefreshAsync(RunPart part, CancellationToken cancellationToken)
    {
        Batch old = part.Ended!;
        Batch current = await BatchRefresh.RefreshAsync(client, old, cancellationToken).ConfigureAwait(false);
        if ((current.OutputFileId ?? old.OutputFileId, current.ErrorFileId ?? old.ErrorFileId, current.RequestCounts) != (old.OutputFileId, old.ErrorFileId, old.RequestCounts))
        {
            store.Write(new RunStep(RunStepKind.Ended) { Part = part.Name, Batch = current.Json });
        }
    }

    /// <summary>Prepares the next try. Complete files are downloaded again only if the missing results cannot be in another file.</summary>
    private void PrepareRetry(Batch batch, long answers, PendingFetch pending, TimeSpan wait)
    {
        RequestCounts counts = batch.RequestCounts;
        long inUnnamedFiles = (batch.OutputFileId is null ? counts.Completed : 0) + (batch.ErrorFileId is null ? counts.Failed : 0);
        if (pending.Problem is null && (answers == 0 || counts.Done - answers > inUnnamedFiles))
        {
            (pending.Output.IsComplete, pending.Errors.IsComplete) = (false, false);
        }

        if (!pending.IsReported && client.Time.GetElapsedTime(pending.StartedAt) + wait >= s_noticeDelay)
        {
            pending.IsReported = true;
            observer.OnResultsLate(batch);
        }
    }

    /// <summary>The state of a part's download between two tries.</summary>
    private sealed class PendingFetch(TimeProvider time)
    {
        public LateVisibility Visibility { get; } = new(time);

        public long StartedAt { get; } = time.GetTimestamp();

        public bool IsReported { get; set; }

        public FetchedFile Output { get; } = new();

        public FetchedFile Errors { get; } = new();

        /// <summary>The number of requests with a result in one of the files.</summary>
        public long Answers => Output.Ids.Count + Errors.Ids.Count(id => !Output.Ids.Contains(id));

        /// <summary>Why a file cannot be read; null if both can. If neither can, an error that may be temporary takes precedence.</summary>
        public ServiceException? Problem => Errors.Problem is { } problem && (Output.Problem is null || LateVisibility.IsNotFound(problem)) ? problem : Output.Problem;
    }

    private sealed class FetchedFile
    {
        public string? Id { get; set; }

        /// <summary>The IDs of the requests whose results can be read.</summary>
        public HashSet<string> Ids { get; set; } = [];

        public bool IsComplete { get; set; }

        public ServiceException? Problem { get; set; }
    }
}

/// <summary>The outcome of a download of a part's results. All readable results are on disk in any case.</summary>
/// <param name="Wait">The time until the next try, because the service may show more results soon; null if this was the last try.</param>
/// <param name="Problem">Why results of the batch cannot be read; null if all are on disk.</param>
internal readonly record struct FetchOutcome(TimeSpan? Wait, ServiceException? Problem);
