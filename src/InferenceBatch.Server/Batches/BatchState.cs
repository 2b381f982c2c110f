using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Storage;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// The state of a batch and its transitions. Each change of status is one transaction. Except for the progress of the run,
/// only stored data is shown.
/// </summary>
internal sealed class BatchState
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EngineServices _engine;
    private BatchRecord _record;
    private LineRun? _run;

    public BatchState(BatchRecord record, EngineServices engine)
    {
        _record = record;
        _engine = engine;
        if (record.Status == BatchStatus.Cancelling)
        {
            _cancelled.SetResult();
        }
    }

    /// <summary>The batch as it is stored.</summary>
    public BatchRecord Record
    {
        get
        {
            lock (_gate)
            {
                return _record;
            }
        }
    }

    /// <summary>Ends when the batch is cancelled.</summary>
    public Task Cancelled => _cancelled.Task;

    /// <summary>Returns the current state of the batch with its counts.</summary>
    public BatchRecord Snapshot()
    {
        lock (_gate)
        {
            // The IDs of the result files are chosen early, but shown only when the file has content.
            return _record.IsFinished ? _record
                : _run is not { } run ? _record with { OutputFileId = null, ErrorFileId = null }
                : _record with
                {
                    Counts = run.Counts,
                    Usage = run.Usage,
                    OutputFileId = run.Results.Output.Lines > 0 ? _record.OutputFileId : null,
                    ErrorFileId = run.Results.Errors.Lines > 0 ? _record.ErrorFileId : null,
                };
        }
    }

    /// <summary>Returns a result file with the results so far; null if the file does not belong to this batch, or if the batch has ended.</summary>
    public ResultFileWriter? FindPartial(string fileId)
    {
        lock (_gate)
        {
            return _record.IsFinished || _run is not { } run ? null
                : fileId == _record.OutputFileId ? run.Results.Output
                : fileId == _record.ErrorFileId ? run.Results.Errors
                : null;
        }
    }

    /// <summary>Shows the progress of a run, or for null, the last progress of the previous run.</summary>
    public void Show(LineRun? run)
    {
        lock (_gate)
        {
            _record = _run is { } last && !_record.IsFinished ? _record with { Counts = last.Counts, Usage = last.Usage } : _record;
            _run = run;
        }
    }

    /// <summary>validating or in_progress → cancelling. Other states do not change.</summary>
    public void Cancel()
    {
        lock (_gate)
        {
            if (_record.Status is BatchStatus.Validating or BatchStatus.InProgress)
            {
                Save(_record with { Status = BatchStatus.Cancelling, CancellingAt = Now() });
                _cancelled.TrySetResult();
            }
        }
    }

    /// <summary>validating → in_progress, unless the batch is in progress already or was cancelled in the meantime.</summary>
    public BatchRecord Begin(BatchFileReport report)
    {
        lock (_gate)
        {
            if (_record.OutputFileId is null)
            {
                bool starts = _record.Status == BatchStatus.Validating;
                Save(_record with
                {
                    Status = starts ? BatchStatus.InProgress : _record.Status,
                    InProgressAt = starts ? Now() : null,
                    Model = report.Models.Count > 0 ? report.Models[0] : null,
                    OutputFileId = Ids.NewFile(),
                    ErrorFileId = Ids.NewFile(),
                    Counts = new RequestCounts(report.RequestCount, 0, 0),
                });
            }

            return _record;
        }
    }

    /// <summary>in_progress → finalizing. Returns the final status, which is cancelled if a caller has cancelled the batch in the meantime.</summary>
    public BatchStatus BeginEnd(BatchStatus outcome)
    {
        lock (_gate)
        {
            if (_record.Status == BatchStatus.Cancelling)
            {
                return BatchStatus.Cancelled;
            }

            if (_record.Status != BatchStatus.Finalizing || _record.Outcome != outcome)
            {
                Save(_record with { Status = BatchStatus.Finalizing, Outcome = outcome, FinalizingAt = _record.FinalizingAt ?? Now() });
            }

            return outcome;
        }
    }

    /// <summary>→ completed, expired, cancelled or failed: the final status, with the result files.</summary>
    public BatchRecord End(BatchStatus outcome, IReadOnlyList<ServiceError> errors, BatchResults results)
    {
        lock (_gate)
        {
            DateTimeOffset now = Now();
            outcome = _record.Status == BatchStatus.Cancelling ? BatchStatus.Cancelled : outcome;
            BatchRecord ended = _record with
            {
                Status = outcome,
                Outcome = BatchStatus.Unknown,
                Errors = errors,
                OutputFileId = results.Files.FirstOrDefault(file => file.Id == _record.OutputFileId)?.Id,
                ErrorFileId = results.Files.FirstOrDefault(file => file.Id == _record.ErrorFileId)?.Id,
                Counts = results.Counts,
                Usage = results.Usage,
                CompletedAt = outcome == BatchStatus.Completed ? now : null,
                FailedAt = outcome == BatchStatus.Failed ? now : null,
                ExpiredAt = outcome == BatchStatus.Expired ? now : null,
                CancelledAt = outcome == BatchStatus.Cancelled ? now : null,
            };
            Save(ended, results.Files);
            return ended;
        }
    }

    /// <summary>The time, or the latest time of the batch if the clock was set back: the times of a batch never decrease.</summary>
    private DateTimeOffset Now()
    {
        DateTimeOffset now = _engine.Time.GetUtcNow();
        return now > _record.LatestAt ? now : _record.LatestAt;
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
