using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Uploads the parts of a run and creates their batches. Resumes parts where an earlier process left them.</summary>
internal sealed class PartSender(BatchClient client, RunStore store, RunOptions options, RunObserver observer)
{
    /// <summary>How often a part is uploaded again because the service has lost its file. The limit is for services that lose every file.</summary>
    private const int MaxNewFiles = 2;

    /// <summary>How often an upload is tried if the service accepts it, but the response is not valid.</summary>
    private const int MaxAcceptedUploads = 5;

    private readonly Dictionary<string, Batch> _lastSeen = [];
    private readonly HashSet<string> _open = [];
    private readonly Dictionary<RunPart, int> _newFiles = [];
    private readonly Dictionary<RunPart, long> _acceptedAt = [];
    private readonly ServiceWait _wait = new(client.Time, options.Timeout, observer);

    /// <summary>A created batch that is not in the journal yet.</summary>
    private string? _createdId;

    /// <summary>The created batches that are not known to have ended.</summary>
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

    /// <summary>The state of a part's batch when this process created it; null if an earlier process created it.</summary>
    public Batch? LastSeen(RunPart part) => _lastSeen.GetValueOrDefault(part.BatchId!);

    /// <summary>The input file of the last create whose outcome is unknown; null if there is none.</summary>
    public string? CreatingFrom { get; private set; }

    /// <summary>
    /// Makes sure that a part has exactly one batch. If the service has lost the file, the part is uploaded again from disk.
    /// </summary>
    /// <param name="part">The part.</param>
    /// <param name="number">The number of the part, counted from 1.</param>
    /// <param name="count">The number of parts in this attempt.</param>
    /// <param name="waits">Whether to wait for an unavailable service; otherwise the outcome is a refusal.</param>
    /// <param name="cancellationToken">Cancels the call, including waits.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/> or <see cref="ServiceErrorKind.PermissionDenied"/>: the key is refused for all parts.</exception>
    public async Task<SendOutcome> SendAsync(RunPart part, int number, int count, bool waits, CancellationToken cancellationToken)
    {
        for (int accepted = 0; ;)
        {
            ServiceException problem;
            try
            {
                await SendOnceAsync(part, number, count, cancellationToken).ConfigureAwait(false);
                _wait.EndOutage();
                return default;
            }
            catch (ServiceException exception) when (exception.Kind is not (ServiceErrorKind.Unauthorized or ServiceErrorKind.PermissionDenied))
            {
                problem = exception;
            }
            catch (IOException exception)
            {
                observer.OnProblem(exception);
                (string? created, _createdId) = (_createdId, null);
                return new SendOutcome(null, created is null
                    ? new ServiceError(RunRetryRules.NotSentCode, exception.Message)
                    : new ServiceError("outcome_unknown", $"The batch {created} was created and continues, but could not be recorded: {exception.Message}"));
            }

            bool isRefusal = false;
            bool isTemporary = ServiceWait.IsTemporary(problem) && !(problem.WasAccepted && part.FileId is null && ++accepted >= MaxAcceptedUploads);
            if (BatchOutcome.IsFileGone(problem) && part.FileId is not null)
            {
                isTemporary = IsRecent(part.UploadedAt);
                if (!isTemporary && ForgetFile(part))
                {
                    continue;
                }
            }
            else if (BatchOutcome.IsQueueFull(problem))
            {
                _wait.EndOutage();
                isRefusal = true;
            }
            else if (problem is { IsOutcomeUnknown: true, WasAccepted: true })
            {
                // The batch most likely exists. A second one would be billed too, so the run only looks for it.
                isTemporary = IsRecent(_acceptedAt.TryAdd(part, client.Time.GetTimestamp()) ? client.Time.GetTimestamp() : _acceptedAt[part]);
            }

            if (isRefusal || (isTemporary && !waits))
            {
                return new SendOutcome(problem, null);
            }

            if (!isTemporary || !await _wait.WaitAsync(problem, cancellationToken).ConfigureAwait(false))
            {
                observer.OnProblem(problem);
                return new SendOutcome(null, new ServiceError(problem.IsOutcomeUnknown ? "outcome_unknown" : RunRetryRules.NotSentCode, problem.Message), isTemporary);
            }
        }
    }

    /// <summary>Prepares a part for another batch from the same file.</summary>
    public void Postpone(RunPart part) => Reset(part, RunStepKind.Postponed);

    /// <summary>Prepares a part for another upload, because the service no longer has its file. Returns false if it was uploaded too often.</summary>
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

    /// <summary>Records that the batch of a part has ended.</summary>
    public void RecordEnd(RunPart part, Batch batch)
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
            _wait.EndOutage();
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

    /// <summary>Creates a batch. After a create with an unknown outcome, looks for its batch first; after an accepted create, only looks for it.</summary>
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
            // No batch was created.
            CreatingFrom = null;
            store.Write(new RunStep(RunStepKind.Postponed) { Part = part.Name });
            throw;
        }
    }

    private bool IsRecent(long? since) => LateVisibility.IsRecent(client.Time, since);

    /// <summary>Records a step after which the part has no batch, and deletes the files of the old one.</summary>
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

/// <summary>The outcome of sending a part. If there is neither a refusal nor a failure, the part has a batch.</summary>
/// <param name="Refusal">Why the part must be retried later: the service has no room for it, or is unavailable.</param>
/// <param name="Failure">The error for the requests of a part that was not sent.</param>
/// <param name="IsTemporary">Whether the failure is not about the requests: the timeout was reached while the service was unavailable.</param>
internal readonly record struct SendOutcome(ServiceException? Refusal, ServiceError? Failure, bool IsTemporary = false);
