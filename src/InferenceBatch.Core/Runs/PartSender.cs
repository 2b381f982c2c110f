using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Brings the parts of a run to the service, from wherever an earlier process left them.</summary>
internal sealed class PartSender(BatchClient client, RunStore store, RunOptions options, RunObserver observer)
{
    /// <summary>How often a part is sent again because the service has lost its file; a service that loses every file is not sent more.</summary>
    private const int MaxNewFiles = 2;

    /// <summary>How often an upload is tried that the service accepts with an answer of another shape.</summary>
    private const int MaxAcceptedUploads = 5;

    private readonly Dictionary<string, Batch> _lastSeen = [];
    private readonly HashSet<string> _open = [];
    private readonly Dictionary<RunPart, int> _newFiles = [];
    private readonly Dictionary<RunPart, long> _acceptedAt = [];
    private readonly ServiceWait _wait = new(client.Time, options.Timeout, observer);

    /// <summary>The batch that was created and is not in the journal yet.</summary>
    private string? _createdId;

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

    /// <summary>The file of the last create whose outcome is not known.</summary>
    public string? CreatingFrom { get; private set; }


    /// <summary>
    /// Sees to it that a part has a batch, and no second one. A file that the service has lost is sent again from the part
    /// on disk.
    /// </summary>
    /// <param name="part">The part.</param>
    /// <param name="number">Counted from 1.</param>
    /// <param name="count">Parts of this attempt.</param>
    /// <param name="waits">Whether to wait for a service that cannot be reached; else the outcome says to try again later.</param>
    /// <param name="cancellationToken">Ends it, waits included.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/> or <see cref="ServiceErrorKind.PermissionDenied"/>: no other part would fare better.</exception>
    public async Task<SendOutcome> SendAsync(RunPart part, int number, int count, bool waits, CancellationToken cancellationToken)
    {
        for (int accepted = 0; ;)
        {
            ServiceException trouble;
            try
            {
                await SendOnceAsync(part, number, count, cancellationToken).ConfigureAwait(false);
                _wait.Ended();
                return default;
            }
            catch (ServiceException exception) when (exception.Kind is not (ServiceErrorKind.Unauthorized or ServiceErrorKind.PermissionDenied))
            {
                trouble = exception;
            }
            catch (IOException exception)
            {
                observer.OnProblem(exception);
                (string? created, _createdId) = (_createdId, null);
                return new SendOutcome(null, created is null
                    ? new ServiceError(RunEngine.NotSentCode, exception.Message)
                    : new ServiceError("outcome_unknown", $"The batch {created} was created and continues, but could not be recorded: {exception.Message}"));
            }

            bool isRefusal = false;
            bool mayPass = ServiceWait.MayPass(trouble) && !(trouble.WasAccepted && part.FileId is null && ++accepted >= MaxAcceptedUploads);
            if (BatchFate.IsFileGone(trouble) && part.FileId is not null)
            {
                mayPass = IsRecent(part.UploadedAt);
                if (!mayPass && ForgetFile(part))
                {
                    continue;
                }
            }
            else if (BatchFate.IsQueueFull(trouble))
            {
                _wait.Ended();
                isRefusal = true;
            }
            else if (trouble is { IsOutcomeUnknown: true, WasAccepted: true })
            {
                // It was most likely created, and another one would be billed too: it is only looked for.
                mayPass = IsRecent(_acceptedAt.TryAdd(part, client.Time.GetTimestamp()) ? client.Time.GetTimestamp() : _acceptedAt[part]);
            }

            if (isRefusal || (mayPass && !waits))
            {
                return new SendOutcome(trouble, null);
            }

            if (!mayPass || !await _wait.WaitAsync(trouble, cancellationToken).ConfigureAwait(false))
            {
                observer.OnProblem(trouble);
                return new SendOutcome(null, new ServiceError(trouble.IsOutcomeUnknown ? "outcome_unknown" : RunEngine.NotSentCode, trouble.Message), mayPass);
            }
        }
    }

    /// <summary>The part is to get another batch later, from the same file.</summary>
    public void Postpone(RunPart part) => Reset(part, RunStepKind.Postponed);

    /// <summary>The service no longer has the part's file: the part is to be sent again. False when it was sent again too often.</summary>
    public bool ForgetFile(RunPart part)
    {
        int times = _newFiles[part] = _newFiles.GetValueOrDefault(part) + 1;
        if (times > MaxNewFiles)
        {
            return false;
        }

        Reset(part, RunStepKind.FileLost);
        return true;
    }

    public void End(RunPart part, Batch batch)
    {
        Close(batch.Id);
        if (part.Ended is null)
        {
            store.Write(new RunStep(RunStepKind.Ended) { Part = part.Name, Batch = batch.Json });
        }
    }

    private async Task SendOnceAsync(RunPart part, int number, int count, CancellationToken cancellationToken)
    {
        if (part.BatchId is null && part.FileId is null)
        {
            await observer.BeforeUploadAsync(part.File, number, count, cancellationToken).ConfigureAwait(false);
            BatchFile file = await client.UploadFileAsync(
                part.File.Path, part.Name, null, new Uploaded(observer, part.File), policy: RetryPolicy.Once, cancellationToken: cancellationToken).ConfigureAwait(false);
            store.Write(new RunStep(RunStepKind.Uploaded) { Part = part.Name, FileId = file.Id });
            part.UploadedAt = client.Time.GetTimestamp();
            _wait.Ended();
        }

        if (part.BatchId is null)
        {
            Batch batch = await FindOrCreateAsync(part, cancellationToken).ConfigureAwait(false);
            _createdId = batch.Id;
            store.Write(new RunStep(RunStepKind.Created) { Part = part.Name, BatchId = batch.Id });
            _createdId = null;
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
    }

    /// <summary>A create whose outcome is not known is looked for before another one is made; one that was accepted is only looked for.</summary>
    private async Task<Batch> FindOrCreateAsync(RunPart part, CancellationToken cancellationToken)
    {
        if (part.IsCreating && await client.FindBatchAsync(part.FileId!, RetryPolicy.Once, cancellationToken).ConfigureAwait(false) is { } found)
        {
            return found;
        }

        if (_acceptedAt.ContainsKey(part))
        {
            throw new ServiceException(ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.NotListed", part.FileId))
            {
                IsOutcomeUnknown = true,
                WasAccepted = true,
            };
        }

        store.Write(new RunStep(RunStepKind.Creating) { Part = part.Name, At = client.Time.GetUtcNow() });
        CreatingFrom = part.FileId;
        try
        {
            Batch created = await client.CreateBatchAsync(
                new NewBatch
                {
                    InputFileId = part.FileId!,
                    IsOnlyBatchOfFile = true,
                    Endpoint = part.File.Endpoint,
                    CompletionWindow = options.CompletionWindow,
                    Metadata = options.Metadata,
                },
                RetryPolicy.Once,
                cancellationToken).ConfigureAwait(false);
            CreatingFrom = null;
            return created;
        }
        catch (ServiceException exception) when (!exception.IsOutcomeUnknown)
        {
            // None was created: there is nothing to look for.
            CreatingFrom = null;
            store.Write(new RunStep(RunStepKind.Postponed) { Part = part.Name });
            throw;
        }
    }

    private bool IsRecent(long? since) => LateVisibility.IsRecent(client.Time, since);

    /// <summary>Takes a step after which the part has no batch, nor anything that one left on disk.</summary>
    private void Reset(RunPart part, RunStepKind step)
    {
        if (part.BatchId is { } id)
        {
            Close(id);
        }

        store.Write(new RunStep(step) { Part = part.Name });
        File.Delete(part.OutputPath);
        File.Delete(part.ErrorPath);
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
