using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Brings the parts of a run to the service and their results back, from wherever an earlier process left them.</summary>
internal sealed class PartSender(BatchClient client, RunStore store, RunOptions options, RunObserver observer)
{
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

    /// <summary>Sees to it that a part has a batch, and no second one; gives what stood in the way.</summary>
    public async Task<Exception?> SendAsync(RunPart part, int number, int count, CancellationToken cancellationToken)
    {
        try
        {
            if (part.BatchId is null && part.FileId is null)
            {
                await observer.BeforeUploadAsync(part.File, number, count, cancellationToken).ConfigureAwait(false);
                BatchFile file = await client.UploadFileAsync(
                    part.File.Path, part.Name, null, new Uploaded(observer, part.File), cancellationToken).ConfigureAwait(false);
                store.Write(new RunStep(RunStepKind.Uploaded) { Part = part.Name, FileId = file.Id });
            }

            if (part.BatchId is null)
            {
                Batch batch = await FindOrCreateAsync(part, cancellationToken).ConfigureAwait(false);
                store.Write(new RunStep(RunStepKind.Created) { Part = part.Name, BatchId = batch.Id });
                _lastSeen[batch.Id] = batch;
                observer.OnCreated(batch);
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
            return exception;
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

    /// <summary>Sees to it that the results of a part are on disk; gives what stood in the way.</summary>
    public async Task<Exception?> FetchAsync(RunPart part, CancellationToken cancellationToken)
    {
        try
        {
            if (!part.IsDownloaded)
            {
                await FetchAsync(part.Ended!.OutputFileId, part.OutputPath, cancellationToken).ConfigureAwait(false);
                await FetchAsync(part.Ended.ErrorFileId, part.ErrorPath, cancellationToken).ConfigureAwait(false);
                store.Write(new RunStep(RunStepKind.Downloaded) { Part = part.Name });
            }

            return null;
        }
        catch (Exception exception) when (exception is ServiceException or IOException)
        {
            return exception;
        }
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
        if (part.CreatingSince is { } since
            && await client.FindBatchAsync(part.FileId!, since, cancellationToken).ConfigureAwait(false) is { } found)
        {
            return found;
        }

        store.Write(new RunStep(RunStepKind.Creating) { Part = part.Name, At = client.Time.GetUtcNow() });
        return await client.CreateBatchAsync(
            new NewBatch
            {
                InputFileId = part.FileId!,
                Endpoint = part.File.Endpoint,
                CompletionWindow = options.CompletionWindow,
                Metadata = options.Metadata,
            },
            cancellationToken).ConfigureAwait(false);
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
