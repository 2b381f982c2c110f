using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// A batch from its creation to its end. Each step between two changes of its <see cref="State"/> can be repeated from the
/// files alone, so a batch resumes after a crash in the same way as it starts.
/// </summary>
internal sealed class LocalBatch(BatchRecord record, EngineServices engine) : IDisposable
{
    public const string ExpiredMessage = "This request could not be executed before the completion window expired.";
    public const string CancelledMessage = "This request could not be executed because the batch was cancelled.";

    private const int MaxIssues = 10_000;

    private static readonly TimeSpan s_retryInterval = TimeSpan.FromSeconds(5);

    /// <summary>How often to read the clock, which may be set forward or jump after the machine has slept.</summary>
    private static readonly TimeSpan s_clockCheckInterval = TimeSpan.FromSeconds(5);

    private volatile LineRun? _run;
    private bool _hasTurn;

    public BatchState State { get; } = new(record, engine);

    /// <summary>Returns the statistics of the finished lines as JSON; null if the batch is not running.</summary>
    public string? Statistics() => _run?.Statistics;

    /// <summary>Runs the batch to its end, or to a point where it can resume after a restart. Never throws.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await ResumeAsync(stop);
                engine.HealthIssues.End(HealthIssues.Storage, record.Id);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                await CloseRunAsync();
                if (!IsTemporary(exception) && TryFail(exception))
                {
                    return;
                }

                // The disk is full or failing. Nothing is lost, because the batch resumes from the files.
                engine.HealthIssues.Begin(HealthIssues.Storage, record.Id, HealthIssues.StorageMessage, exception.Message);
            }
            finally
            {
                await CloseRunAsync();
                if (_hasTurn)
                {
                    _hasTurn = false;
                    engine.Turns.Release();
                }
            }

            try
            {
                await Task.Delay(s_retryInterval, engine.Time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    public void Dispose() => _run?.Dispose();

    private async Task ResumeAsync(CancellationToken stop)
    {
        string input = engine.Files.PathOf(record.InputFileId);
        RequestSpan[]? spans = await ReadLinesAsync(input, stop);
        if (spans is not null && State.Record.Status == BatchStatus.InProgress && !(_hasTurn = engine.Turns.Wait(0, CancellationToken.None)))
        {
            // A waiting batch keeps neither files nor lines, because thousands may wait.
            spans = null;
            await WaitForTurnAsync(stop);
            spans = await ReadLinesAsync(input, stop);
        }

        if (spans is null)
        {
            return;
        }

        LineRun run = _run = engine.ResultFiles.Open(State.Record, input, spans);
        State.Show(run);
        engine.Progress.Add(record.Id, run);
        if (run.Results.Dropped > 0)
        {
            Log.ResultsDamaged(engine.Logger, record.Id, run.Results.Dropped);
        }

        BatchStatus outcome = State.Record switch
        {
            { Status: BatchStatus.Cancelling } => BatchStatus.Cancelled,
            // A power cut may have destroyed results after the batch was found complete.
            { Status: BatchStatus.Finalizing } ends when ends.Outcome != BatchStatus.Completed || run.Finished.IsCompleted => ends.Outcome,
            _ => await DispatchAsync(run, stop),
        };
        if (run.Retries is { Total: > 0 } retries)
        {
            Log.RetryTotals(engine.Logger, record.Id, retries.ToString());
        }

        outcome = await SaveAsync(() => State.BeginEnd(outcome));
        await AddErrorToRestAsync(run, outcome);
        run.Results.Sync();
        engine.Progress.Remove(record.Id);
        var results = new BatchResults(engine.ResultFiles.Keep(State.Record, run.Results, engine.Time.GetUtcNow()), run.Counts, run.Usage);
        await SaveAsync(() => End(outcome, [], results));
    }

    /// <summary>Waits until this batch may run, or is cancelled, expired or stopped.</summary>
    private async Task WaitForTurnAsync(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task turn = engine.Turns.WaitAsync(over.Token);
        await Task.WhenAny(turn, State.Cancelled, WindowAsync(over.Token));
        await over.CancelAsync();
        await turn.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _hasTurn = turn.IsCompletedSuccessfully;
        stop.ThrowIfCancellationRequested();
    }

    /// <summary>Stores a change of state. Only one at a time waits for the disk, so that thousands of batches do not block a thread each.</summary>
    private async Task<T> SaveAsync<T>(Func<T> change)
    {
        await engine.Saving.WaitAsync();
        try
        {
            return change();
        }
        finally
        {
            engine.Saving.Release();
        }
    }

    /// <summary>Returns the positions of the lines; null if the input is not valid, which ends the batch.</summary>
    private async Task<RequestSpan[]?> ReadLinesAsync(string input, CancellationToken stop)
    {
        BatchRecord before = State.Record;
        string index = engine.ResultFiles.IndexOf(before);
        FileStamp stamp = FileStamp.Of(input);
        if (engine.Database.Files.Find(before.InputFileId) is { } file && file.Bytes != stamp.Length)
        {
            throw new EndOfStreamException("The size of the input file differs from the size of the upload.");
        }

        if (before.OutputFileId is not null && LineIndex.Read(index, stamp) is { } known)
        {
            return known;
        }

        ValidationRules rules = ValidationRules.LocalService with
        {
            Endpoint = before.Endpoint,
            // A batch that was accepted stays valid if the service is restarted with lower limits.
            MaxRequests = before.OutputFileId is null ? engine.Settings.MaxRequests : int.MaxValue,
            MaxBytes = before.OutputFileId is null ? engine.Settings.MaxFileBytes : long.MaxValue,
            MaxIssues = MaxIssues,
        };
        (BatchFileReport report, RequestSpan[] spans) = await engine.Check.RunAsync(input, rules, stop);
        if (!report.IsValid)
        {
            BatchResults reached = engine.ResultFiles.KeepPartialResults(State.Record, engine.Time.GetUtcNow());
            await SaveAsync(() => End(BatchStatus.Failed, [.. report.Issues.Where(issue => issue.Severity == IssueSeverity.Error || issue.Code == IssueCodes.MoreIssues)
                .Select(issue => new ServiceError(issue.Code, issue.Message, issue.Param, issue.Line))], reached));
            return null;
        }

        await SaveAsync(() => State.Begin(report));
        LineIndex.Write(index, stamp, spans);
        return spans;
    }

    /// <summary>Runs the lines until all are done, the window ends, the batch is cancelled or the service stops.</summary>
    private async Task<BatchStatus> DispatchAsync(LineRun run, CancellationToken stop)
    {
        if (Expiry.IsReached(record.ExpiresAt, engine.Time.GetUtcNow()))
        {
            return run.Finished.IsCompleted ? BatchStatus.Completed : BatchStatus.Expired;
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task window = WindowAsync(over.Token);
        engine.Dispatcher.Add(run);
        Task first = await Task.WhenAny(run.Finished, State.Cancelled, window);
        await over.CancelAsync();
        if (first == run.Finished)
        {
            await run.Finished;
            return BatchStatus.Completed;
        }

        bool isCancel = first == State.Cancelled;
        TimeSpan grace = stop.IsCancellationRequested ? engine.Settings.StopGrace : isCancel ? engine.Settings.CancelGrace : TimeSpan.Zero;
        // The grace of a cancel may be long. A stop of the service does not wait for it.
        await engine.Dispatcher.StopAsync(run, grace, stop.IsCancellationRequested ? CancellationToken.None : stop);
        if (isCancel)
        {
            return BatchStatus.Cancelled;
        }

        if (run.Finished.IsCompletedSuccessfully)
        {
            return BatchStatus.Completed;
        }

        if (stop.IsCancellationRequested)
        {
            run.Results.Sync();
            throw new OperationCanceledException(stop);
        }

        return BatchStatus.Expired;
    }

    /// <summary>Ends with the window. It reads the clock repeatedly, because a timer does not notice that the clock was set or that the machine was asleep.</summary>
    private async Task WindowAsync(CancellationToken over)
    {
        while (record.ExpiresAt - engine.Time.GetUtcNow() is { Ticks: > 0 } left)
        {
            await Task.Delay(left < s_clockCheckInterval ? left : s_clockCheckInterval, engine.Time, over);
        }
    }

    private static Task AddErrorToRestAsync(LineRun run, BatchStatus outcome) => outcome switch
    {
        BatchStatus.Cancelled => run.AddErrorToRestAsync(LineOutcome.CancelledCode, CancelledMessage),
        BatchStatus.Expired => run.AddErrorToRestAsync(LineOutcome.ExpiredCode, ExpiredMessage),
        _ => Task.CompletedTask,
    };

    private static bool IsTemporary(Exception exception) =>
        exception is IOException and not (FileNotFoundException or EndOfStreamException) or SqliteException or UnauthorizedAccessException;

    /// <summary>Ends a batch that cannot continue as failed, so that it does not affect the others. Returns false if that failed too.</summary>
    private bool TryFail(Exception exception)
    {
        Log.BatchBroken(engine.Logger, record.Id, exception);
        try
        {
            BatchResults reached = engine.ResultFiles.KeepPartialResults(State.Record, engine.Time.GetUtcNow());
            string message = exception switch
            {
                FileNotFoundException => "The input file no longer exists.",
                EndOfStreamException => "The size of the input file has changed since the upload.",
                _ => "The batch cannot continue because of an internal error. The log of the service has the details.",
            };
            string code = exception switch { FileNotFoundException => "file_not_found", EndOfStreamException => "file_changed", _ => "server_error" };
            End(BatchStatus.Failed, [new ServiceError(code, reached.Files.Count > 0 ? message + " The results so far are kept." : message)], reached);
            return true;
        }
        catch (Exception again)
        {
            if (!IsTemporary(again))
            {
                Log.BatchBroken(engine.Logger, record.Id, again);
            }

            return false;
        }
    }

    private BatchRecord End(BatchStatus outcome, IReadOnlyList<ServiceError> errors, BatchResults results)
    {
        LineIndex.Delete(engine.ResultFiles.IndexOf(record)); // Before the end is stored, because a finished batch is not cleaned up again.
        return State.End(outcome, errors, results);
    }

    private async Task CloseRunAsync()
    {
        if (_run is { } run)
        {
            State.Show(null);
            _run = null;
            await engine.Dispatcher.StopAsync(run, TimeSpan.Zero);
            engine.Progress.Remove(record.Id);
            run.Dispose();
        }
    }
}
