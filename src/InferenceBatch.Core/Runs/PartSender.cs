using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Brings the parts of a run to the service and their results back, from wherever an earlier process left them.</summary>
internal sealed class PartSender(BatchClient client, RunStore store, RunOptions options, RunObserver observer)
{
    private const int MaxFetches = 4;

    private readonly Dictionary<string, Batch> _lastSeen = [];
    private readonly HashSet<string> _open = [];

    /// <summary>The batches created that have not ended, as far as is known.</summary>
    public IReadOnlyCollection<string> OpenBatches
    {
        get
        {
            lock (_open)
            {
                return [.. _open];
            }
        }
    }

    /// <summary>What the service said of a part's batch when it was created here; null when an earlier process did that.</summary>
    public Batch? LastSeen(RunPart part) => _lastSeen.GetValueOrDefault(part.BatchId!);

    /// <summary>The file a batch is being made of at this moment, whose outcome is not known yet.</summary>
    public string? CreatingFrom { get; private set; }

    /// <summary>Sees to it that a part has a batch, and no second one; gives what stood in the way, for its requests.</summary>
    public async Task<ServiceError?> SendAsync(RunPart part, int number, int count, CancellationToken cancellationToken)
    {
        Batch? made = null;
        try
        {
            if (part.BatchId is null && part.FileId is null)
            {
                await observer.BeforeUploadAsync(part.File, number, count, cancellationToken).ConfigureAwait(false);
                BatchFile file = await client.UploadFileAsync(
                    part.File.Path, part.Name, null, new Uploaded(observer, part.File), cancellationToken: cancellationToken).ConfigureAwait(false);
                store.Write(new RunStep(RunStepKind.Uploaded) { Part = part.Name, FileId = file.Id });
            }

            if (part.BatchId is null)
            {
                made = await FindOrCreateAsync(part, cancellationToken).ConfigureAwait(false);
                store.Write(new RunStep(RunStepKind.Created) { Part = part.Name, BatchId = made.Id });
                _lastSeen[made.Id] = made;
                observer.OnCreated(made);
            }

            if (part.Ended is null)
            {
                lock (_open)
                {
                    _open.Add(part.BatchId!);
                }
            }

            return null;
        }
        catch (Exception exception) when (exception is ServiceException or IOException)
        {
            observer.OnProblem(exception);
            if (made is not null)
            {
                return new ServiceError("outcome_unknown", $"The batch {made.Id} was created and goes on, but could not be noted: {exception.Message}");
            }

            bool isUnknown = part.IsCreating && exception is ServiceException { StatusCode: null or >= System.Net.HttpStatusCode.InternalServerError };
            return new ServiceError(isUnknown ? "outcome_unknown" : "not_sent", exception.Message);
        }
    }

    /// <summary>The part is to get another batch later.</summary>
    public void Postpone(RunPart part)
    {
        Close(part.BatchId!);
        store.Write(new RunStep(RunStepKind.Postponed) { Part = part.Name });
    }

    public void End(RunPart part, Batch batch)
    {
        Close(batch.Id);
        if (part.Ended is null)
        {
            store.Write(new RunStep(RunStepKind.Ended) { Part = part.Name, Batch = batch.Json });
        }
    }

    /// <summary>
    /// Sees to it that the results of a part are on disk, whole; gives what stood in the way. What is not whole is fetched
    /// again, not paid for again: a line that is not there is only missing when every fetch ends at the same place.
    /// </summary>
    public async Task<Exception?> FetchAsync(RunPart part, CancellationToken cancellationToken)
    {
        long fewest = -1;
        for (int attempt = 1; !part.IsDownloaded; attempt++)
        {
            Exception problem;
            try
            {
                await FetchAsync(part.Ended!.OutputFileId, part.OutputPath, cancellationToken).ConfigureAwait(false);
                await FetchAsync(part.Ended.ErrorFileId, part.ErrorPath, cancellationToken).ConfigureAwait(false);
                long lines = ResultFiles.Count(part.OutputPath, part.ErrorPath);
                if (lines >= Math.Min(part.Ended.RequestCounts.Done, part.File.RequestCount) || lines == fewest)
                {
                    store.Write(new RunStep(RunStepKind.Downloaded)
                    {
                        Part = part.Name,
                        OutputBytes = RunPart.SizeOf(part.OutputPath),
                        ErrorBytes = RunPart.SizeOf(part.ErrorPath),
                    });
                    return null;
                }

                fewest = lines;
                problem = new IOException(Messages.Text("DownloadIncomplete.CountsDiffer", part.BatchId, part.Ended.RequestCounts.Done, lines));
            }
            catch (Exception exception) when (exception is ServiceException or FileUnwritableException)
            {
                return exception; // Tried as often as such a call is; a full disk is no fault of the service's.
            }
            catch (IOException exception)
            {
                problem = exception;
            }

            File.Delete(part.OutputPath);
            File.Delete(part.ErrorPath);
            if (attempt == MaxFetches)
            {
                return new ServiceException(
                    ServiceErrorKind.DownloadIncomplete,
                    Messages.Text("DownloadIncomplete.NotWhole", part.BatchId, problem.Message), problem);
            }

            await Task.Delay(RetryPolicy.DelayAfter(attempt, null), client.Time, cancellationToken).ConfigureAwait(false);
        }

        return null;
    }

    private async Task FetchAsync(string? fileId, string path, CancellationToken cancellationToken)
    {
        if (fileId is not null)
        {
            await Download.ToFileAsync(client, fileId, path, null, cancellationToken).ConfigureAwait(false);
            store.Sync(path);
        }
    }

    /// <summary>A create that an earlier process began is looked for before another is made.</summary>
    private async Task<Batch> FindOrCreateAsync(RunPart part, CancellationToken cancellationToken)
    {
        if (part.IsCreating && await client.FindBatchAsync(part.FileId!, cancellationToken).ConfigureAwait(false) is { } found)
        {
            return found;
        }

        store.Write(new RunStep(RunStepKind.Creating) { Part = part.Name, At = client.Time.GetUtcNow() });
        CreatingFrom = part.FileId;
        Batch created = await client.CreateBatchAsync(
            new NewBatch
            {
                InputFileId = part.FileId!,
                IsOnlyBatchOfFile = true,
                Endpoint = part.File.Endpoint,
                CompletionWindow = options.CompletionWindow,
                Metadata = options.Metadata,
            },
            cancellationToken).ConfigureAwait(false);
        CreatingFrom = null;
        return created;
    }

    private void Close(string batchId)
    {
        lock (_open)
        {
            _open.Remove(batchId);
        }
    }

    private sealed class Uploaded(RunObserver observer, FilePart part) : IProgress<long>
    {
        public void Report(long value) => observer.OnUpload(part, value);
    }
}
