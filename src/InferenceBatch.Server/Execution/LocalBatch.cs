using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Storage;
using InferenceBatch.Wire;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Execution;

/// <summary>
/// One batch from creation to its end. Every change of status is one transaction; what is between two of them can be
/// done again from the files alone, so going on after a crash is the same path as going on at all.
/// </summary>
internal sealed class LocalBatch : IDisposable
{
    public const string ExpiredMessage = "This request could not be executed before the completion window expired.";
    public const string CancelledMessage = "This request could not be executed because the batch was cancelled.";

    private const int MaxIssues = 10_000;

    private static readonly TimeSpan s_retryWait = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BatchEngine _engine;
    private BatchRecord _record;
    private volatile LineRun? _run;

    public LocalBatch(BatchRecord record, BatchEngine engine)
    {
        _record = record;
        _engine = engine;
        if (record.Status == BatchStatus.Cancelling)
        {
            _cancelled.SetResult();
        }
    }

    /// <summary>The batch as it stands now, counts included.</summary>
    public BatchRecord Snapshot()
    {
        lock (_gate)
        {
            // File ids are chosen early; they are shown once there is something to read under them.
            return _record.IsFinished || _run is not { } run
                ? _record.IsFinished ? _record : _record with { OutputFileId = null, ErrorFileId = null }
                : _record with
                {
                    Counts = run.Counts,
                    Usage = run.Usage,
                    OutputFileId = run.Log.Output.Lines > 0 ? _record.OutputFileId : null,
                    ErrorFileId = run.Log.Errors.Lines > 0 ? _record.ErrorFileId : null,
                };
        }
    }

    /// <summary>The result file of this id as it is so far; null where it is none of this batch's, or the batch has ended.</summary>
    public LogFile? FindPartial(string fileId)
    {
        lock (_gate)
        {
            return _record.IsFinished || _run is not { } run ? null
                : fileId == _record.OutputFileId ? run.Log.Output
                : fileId == _record.ErrorFileId ? run.Log.Errors
                : null;
        }
    }

    /// <summary>Asks the batch to end early; gives it as it then stands. Where it has ended, or is about to, nothing changes.</summary>
    public BatchRecord Cancel()
    {
        lock (_gate)
        {
            if (_record.Status is BatchStatus.Validating or BatchStatus.InProgress)
            {
                Save(_record with { Status = BatchStatus.Cancelling, CancellingAt = _engine.Time.GetUtcNow() });
                _cancelled.TrySetResult();
            }
        }

        return Snapshot();
    }

    /// <summary>Brings the batch to its end, or to where it can go on after a restart. Never throws.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await GoOnAsync(stop);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (!IsPassing(exception) && TryFail(exception))
            {
                return;
            }
            catch (Exception exception)
            {
                // A full or failing disk: nothing is lost, the files say where to go on.
                Log.BatchWaits(_engine.Logger, _record.Id, s_retryWait.TotalSeconds, exception.Message);
            }
            finally
            {
                await CloseRunAsync();
            }

            try
            {
                await Task.Delay(s_retryWait, _engine.Time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    public void Dispose() => _run?.Dispose();

    private async Task GoOnAsync(CancellationToken stop)
    {
        string input = _engine.Files.PathOf(_record.InputFileId);
        ValidationRules rules = ValidationRules.LocalService with
        {
            Endpoint = _record.Endpoint,
            // A batch that was let in stays in, whatever limits a later start has.
            MaxRequests = _record.OutputFileId is null ? _engine.Settings.MaxRequests : int.MaxValue,
            MaxBytes = _record.OutputFileId is null ? _engine.Settings.MaxFileBytes : long.MaxValue,
            MaxIssues = MaxIssues,
        };
        (BatchFileReport report, RequestSpan[] spans) = await _engine.Check.RunAsync(input, rules, stop);
        if (!report.IsValid)
        {
            Fail([.. report.Issues.Where(issue => issue.Severity == IssueSeverity.Error || issue.Code == IssueCodes.MoreIssues)
                .Select(issue => new ServiceError(issue.Code, issue.Message, issue.Param, issue.Line))]);
            return;
        }

        Begin(report);
        LineRun run = _run = _engine.ResultFiles.Open(_record, input, spans);
        BatchStatus outcome = _record.Status switch
        {
            BatchStatus.Cancelling => BatchStatus.Cancelled,
            BatchStatus.Finalizing => _record.Outcome,
            _ => await DispatchAsync(run, stop),
        };
        End(run, outcome);
    }

    /// <summary>validating → in_progress, unless it is there already or was cancelled meanwhile.</summary>
    private void Begin(BatchFileReport report)
    {
        lock (_gate)
        {
            if (_record.OutputFileId is null)
            {
                bool starts = _record.Status == BatchStatus.Validating;
                Save(_record with
                {
                    Status = starts ? BatchStatus.InProgress : _record.Status,
                    InProgressAt = starts ? _engine.Time.GetUtcNow() : null,
                    Model = report.Models.Count > 0 ? report.Models[0] : null,
                    OutputFileId = Ids.NewFile(),
                    ErrorFileId = Ids.NewFile(),
                    Counts = new RequestCounts(report.RequestCount, 0, 0),
                });
            }
        }
    }

    /// <summary>Runs the lines until all are done, the window ends, somebody cancels or the service stops.</summary>
    private async Task<BatchStatus> DispatchAsync(LineRun run, CancellationToken stop)
    {
        TimeSpan left = _record.ExpiresAt - _engine.Time.GetUtcNow();
        if (left <= TimeSpan.Zero)
        {
            return run.Finished.IsCompleted ? BatchStatus.Completed : BatchStatus.Expired;
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task window = Task.Delay(left, _engine.Time, over.Token);
        _engine.Dispatcher.Add(run);
        DataFolder.SyncFolder(_engine.Folder.BatchesPath);
        Task first = await Task.WhenAny(run.Finished, _cancelled.Task, window);
        await over.CancelAsync();
        if (first == run.Finished)
        {
            return BatchStatus.Completed;
        }

        TimeSpan grace = stop.IsCancellationRequested ? _engine.Settings.StopGrace
            : first == _cancelled.Task ? _engine.Settings.CancelGrace
            : TimeSpan.Zero;
        // A cancel's grace may be long; a stop of the service does not wait for it.
        await _engine.Dispatcher.StopAsync(run, grace, stop.IsCancellationRequested ? CancellationToken.None : stop);
        if (run.Finished.IsCompleted && first != _cancelled.Task)
        {
            return BatchStatus.Completed;
        }

        if (first != _cancelled.Task && stop.IsCancellationRequested)
        {
            run.Log.Sync();
            throw new OperationCanceledException(stop);
        }

        return first == _cancelled.Task ? BatchStatus.Cancelled : BatchStatus.Expired;
    }

    private void End(LineRun run, BatchStatus outcome)
    {
        AddErrorToRest(run, outcome);
        run.Log.Sync();
        lock (_gate)
        {
            // A cancel that came between the last line and here still wins: it was answered with "cancelling".
            outcome = _record.Status == BatchStatus.Cancelling ? BatchStatus.Cancelled : outcome;
            if (_record.Status == BatchStatus.InProgress)
            {
                Save(_record with { Status = BatchStatus.Finalizing, Outcome = outcome, FinalizingAt = _engine.Time.GetUtcNow() });
            }
        }

        DateTimeOffset now = _engine.Time.GetUtcNow();
        List<FileRecord> files = _engine.ResultFiles.Keep(_record, run.Log, now);
        lock (_gate)
        {
            Save(
                _record with
                {
                    Status = outcome,
                    Outcome = BatchStatus.Unknown,
                    OutputFileId = files.Find(file => file.Id == _record.OutputFileId)?.Id,
                    ErrorFileId = files.Find(file => file.Id == _record.ErrorFileId)?.Id,
                    Counts = run.Counts,
                    Usage = run.Usage,
                    CompletedAt = outcome == BatchStatus.Completed ? now : null,
                    ExpiredAt = outcome == BatchStatus.Expired ? now : null,
                    CancelledAt = outcome == BatchStatus.Cancelled ? now : null,
                },
                files);
        }

    }

    private static void AddErrorToRest(LineRun run, BatchStatus outcome)
    {
        if (outcome == BatchStatus.Cancelled)
        {
            run.AddErrorToRest("batch_cancelled", CancelledMessage);
        }
        else if (outcome == BatchStatus.Expired)
        {
            run.AddErrorToRest("batch_expired", ExpiredMessage);
        }
    }

    private void Fail(IReadOnlyList<ServiceError> errors)
    {
        lock (_gate)
        {
            DateTimeOffset now = _engine.Time.GetUtcNow();
            bool wasCancelled = _record.Status == BatchStatus.Cancelling;
            Save(_record with
            {
                Status = wasCancelled ? BatchStatus.Cancelled : BatchStatus.Failed,
                Errors = errors,
                OutputFileId = null,
                ErrorFileId = null,
                FailedAt = wasCancelled ? null : now,
                CancelledAt = wasCancelled ? now : null,
            });
        }
    }

    private static bool IsPassing(Exception exception) =>
        exception is IOException and not FileNotFoundException or SqliteException or UnauthorizedAccessException;

    /// <summary>One broken batch must not take the others down: it ends as failed, and says why.</summary>
    private bool TryFail(Exception exception)
    {
        Log.BatchBroken(_engine.Logger, _record.Id, exception);
        try
        {
            Fail([new ServiceError("server_error", exception is FileNotFoundException
                ? "The batch could not go on: its input file is gone." : "The batch could not go on; the service's log says why.")]);
            return true;
        }
        catch (SqliteException)
        {
            return false;
        }
    }

    private async Task CloseRunAsync()
    {
        if (_run is { } run)
        {
            _run = null;
            await _engine.Dispatcher.StopAsync(run, TimeSpan.Zero);
            run.Dispose();
        }
    }

    private void Save(BatchRecord record, params IReadOnlyList<FileRecord> newFiles)
    {
        _engine.Database.Batches.Update(record, newFiles);
        if (record.Status != _record.Status)
        {
            Log.StatusChanged(_engine.Logger, record.Id, StatusWords.Write(record.Status));
        }

        _record = record;
    }
}
