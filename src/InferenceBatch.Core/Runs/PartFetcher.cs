using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// Brings the results of a run's parts to disk. What was answered is paid for, so a result is called missing only when
/// the service has had five minutes to show it (<see cref="LateVisibility"/>), and every row that can be read is given,
/// from whichever of the two files can be read.
/// </summary>
internal sealed class PartFetcher(BatchClient client, RunStore store, RunObserver observer)
{
    /// <summary>How often a file is fetched that comes broken.</summary>
    private const int MaxFetches = 4;

    private static readonly TimeSpan s_waitIsTold = TimeSpan.FromSeconds(10);

    private readonly Dictionary<RunPart, Waiting> _waiting = [];

    /// <summary>
    /// Fetches the results of a part whose batch has ended. A part is noted as fetched when its files hold all that its
    /// batch promises; any other is fetched again by the next process.
    /// </summary>
    /// <param name="part">The part.</param>
    /// <param name="mayWait">Whether there is time to wait for results that the service does not show yet.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>: no other file would fare better.</exception>
    public async Task<FetchOutcome> FetchAsync(RunPart part, bool mayWait, CancellationToken cancellationToken)
    {
        if (part.IsDownloaded)
        {
            return default;
        }

        if (_waiting.TryGetValue(part, out Waiting? waiting))
        {
            await RefreshAsync(part, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            waiting = _waiting[part] = new Waiting(client.Time);
        }

        Batch batch = part.Ended!;
        int requests = part.File.RequestCount;
        await FetchFileAsync(waiting.Output, batch.OutputFileId, part.OutputPath, RetryPolicy.Interactive, cancellationToken).ConfigureAwait(false);
        // A file that can add no row gets one try.
        RetryPolicy policy = waiting.Output.Ids.Count >= requests ? RetryPolicy.Once : RetryPolicy.Interactive;
        string? errorFileId = batch.ErrorFileId == batch.OutputFileId ? null : batch.ErrorFileId;
        await FetchFileAsync(waiting.Errors, errorFileId, part.ErrorPath, policy, cancellationToken).ConfigureAwait(false);
        long answers = waiting.Answers;
        ServiceException? problem = waiting.Problem;
        bool isShort = BatchFate.IsShort(batch, answers, requests);
        bool isLate = problem is null ? isShort : LateVisibility.IsNotFound(problem) || AsksForLongPause(problem);
        if (answers < requests && isLate && mayWait && waiting.Visibility.NextWait() is { } wait)
        {
            wait = problem is not null && AsksForLongPause(problem) ? problem.RetryAfter!.Value : wait;
            Prepare(batch, answers, waiting, wait);
            return new FetchOutcome(wait, null);
        }

        _waiting.Remove(part);
        // A batch that was cancelled before it had counted its requests may have answered none.
        bool isLost = problem is not null || (isShort && batch is not { Status: BatchStatus.Cancelled, RequestCounts.Total: 0 });
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
            observer.OnFileUnread(batch, problem);
        }

        return default;
    }

    /// <summary>Why a batch's files hold fewer results than it promises.</summary>
    public static ServiceException Incomplete(Batch batch, long lines) => new(
        ServiceErrorKind.DownloadIncomplete,
        batch is { OutputFileId: null, ErrorFileId: null } ? Messages.Text("DownloadIncomplete.NoFile", batch.Id, batch.RawStatus)
            : batch.RequestCounts.Total > 0 && batch.RequestCounts.Done > 0 ? Messages.Text("DownloadIncomplete.TooFew", batch.Id, batch.RequestCounts.Done, lines)
            : Messages.Text("DownloadIncomplete.Empty", batch.Id));

    /// <summary>Whether a call ended at its first try because the service asked for a pause that no single call waits for.</summary>
    private static bool AsksForLongPause(ServiceException problem) => problem.IsTransient && problem.RetryAfter > RetryPolicy.LongestPause;

    /// <summary>Fetches one file, again where it comes broken; what can be read of it is on disk afterwards.</summary>
    private async Task FetchFileAsync(FetchedFile file, string? fileId, string path, RetryPolicy policy, CancellationToken cancellationToken)
    {
        if (file.IsWhole && file.Id == fileId)
        {
            return;
        }

        // What an interrupted fetch or a damaged disk left is not to be counted.
        File.Delete(path);
        (file.Id, file.Ids, file.Problem, file.IsWhole) = (fileId, [], null, false);
        for (int attempt = 1; fileId is not null && !file.IsWhole; attempt++)
        {
            Exception problem;
            try
            {
                await Download.ToFileAsync(client, fileId, path, null, policy, cancellationToken).ConfigureAwait(false);
                file.Ids = ResultFiles.ReadIds(path);
                store.Sync(path);
                file.IsWhole = true;
                continue;
            }
            catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.DownloadIncomplete)
            {
                problem = exception;
            }
            catch (ServiceException exception) when (exception.Kind != ServiceErrorKind.Unauthorized)
            {
                file.Problem = exception; // Tried as often as such a call is.
                return;
            }
            catch (IOException exception) when (exception is not FileUnwritableException)
            {
                problem = exception;
            }

            if (attempt == MaxFetches || policy.MaxAttempts == 1)
            {
                Download.KeepBegun(fileId, path);
                file.Ids = ResultFiles.ReadReadableIds(path);
                file.Problem = new ServiceException(ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete.File", fileId, problem.Message), problem);
                return;
            }

            File.Delete(path);
            await Task.Delay(RetryPolicy.DelayAfter(attempt, null), client.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Asks for the batch again: it may name its files by now.</summary>
    private async Task RefreshAsync(RunPart part, CancellationToken cancellationToken)
    {
        Batch old = part.Ended!;
        Batch news = await BatchRefresh.RefreshAsync(client, old, cancellationToken).ConfigureAwait(false);
        if ((news.OutputFileId ?? old.OutputFileId, news.ErrorFileId ?? old.ErrorFileId, news.RequestCounts) != (old.OutputFileId, old.ErrorFileId, old.RequestCounts))
        {
            store.Write(new RunStep(RunStepKind.Ended) { Part = part.Name, Batch = news.Json });
        }
    }

    /// <summary>Prepares the next try: files that came whole are fetched again only where no other file can hold the rest.</summary>
    private void Prepare(Batch batch, long answers, Waiting waiting, TimeSpan wait)
    {
        RequestCounts counts = batch.RequestCounts;
        long elsewhere = (batch.OutputFileId is null ? counts.Completed : 0) + (batch.ErrorFileId is null ? counts.Failed : 0);
        if (waiting.Problem is null && (answers == 0 || counts.Done - answers > elsewhere))
        {
            (waiting.Output.IsWhole, waiting.Errors.IsWhole) = (false, false);
        }

        if (!waiting.IsTold && client.Time.GetElapsedTime(waiting.Since) + wait >= s_waitIsTold)
        {
            waiting.IsTold = true;
            observer.OnResultsLate(batch);
        }
    }

    /// <summary>A part whose results were asked for.</summary>
    private sealed class Waiting(TimeProvider time)
    {
        public LateVisibility Visibility { get; } = new(time);

        public long Since { get; } = time.GetTimestamp();

        public bool IsTold { get; set; }

        public FetchedFile Output { get; } = new();

        public FetchedFile Errors { get; } = new();

        /// <summary>How many requests have a result in one of the files.</summary>
        public long Answers => Output.Ids.Count + Errors.Ids.Count(id => !Output.Ids.Contains(id));

        /// <summary>Why a file cannot be read; where both cannot, a reason that time may mend comes first.</summary>
        public ServiceException? Problem => Errors.Problem is { } problem && (Output.Problem is null || LateVisibility.IsNotFound(problem)) ? problem : Output.Problem;
    }

    private sealed class FetchedFile
    {
        public string? Id { get; set; }

        /// <summary>The requests whose results can be read.</summary>
        public HashSet<string> Ids { get; set; } = [];

        public bool IsWhole { get; set; }

        public ServiceException? Problem { get; set; }
    }
}
