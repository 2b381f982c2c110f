using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// One batch from creation to its end. What is between two changes of its <see cref="State"/> can be done again from the
/// files alone, so going on after a crash is the same path as going on at all.
/// </summary>
internal sealed class LocalBatch(BatchRecord record, EngineServices engine) : IDisposable
{
    public const string ExpiredMessage = "This request could not be executed before the completion window expired.";
    public const string CancelledMessage = "This request could not be executed because the batch was cancelled.";

    private const int MaxIssues = 10_000;

    private static readonly TimeSpan s_retryWait = TimeSpan.FromSeconds(5);

    /// <summary>How late it is noticed that the clock was set on, or that the machine has slept.</summary>
    private static readonly TimeSpan s_clockLook = TimeSpan.FromSeconds(5);

    private volatile LineRun? _run;
    private bool _hasTurn;

    public BatchState State { get; } = new(record, engine);

    /// <summary>What its ended lines add up to, as JSON; null where they are not running.</summary>
    public string? Statistics() => _run?.Statistics;

    /// <summary>Brings the batch to its end, or to where it can go on after a restart. Never throws.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await GoOnAsync(stop);
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
                if (!IsPassing(exception) && TryFail(exception))
                {
                    return;
                }

                // A full or failing disk: nothing is lost, the files say where to go on.
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
                await Task.Delay(s_retryWait, engine.Time, stop);
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
        string input = engine.Files.PathOf(record.InputFileId);
        RequestSpan[]? spans = await ReadLinesAsync(input, stop);
        if (spans is not null && State.Record.Status == BatchStatus.InProgress && !(_hasTurn = engine.Turns.Wait(0, CancellationToken.None)))
        {
            // Whoever waits holds neither files nor lines: there may be thousands.
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
            // A power cut may have taken results that were thought to be whole.
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
        engine.Progress.Leave(record.Id);
        var results = new BatchResults(engine.ResultFiles.Keep(State.Record, run.Results, engine.Time.GetUtcNow()), run.Counts, run.Usage);
        await SaveAsync(() => End(outcome, [], results));
    }

    /// <summary>Returns when it is this batch's turn to run, or it needs none any more.</summary>
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

    /// <summary>Stores a change of state. One at a time waits for the disk: thousands of batches must not hold a thread each.</summary>
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

    /// <summary>Where the lines of the input stand; null where they are not valid, which ends the batch.</summary>
    private async Task<RequestSpan[]?> ReadLinesAsync(string input, CancellationToken stop)
    {
        BatchRecord before = State.Record;
        string index = engine.ResultFiles.IndexOf(before);
        FileStamp stamp = FileStamp.Of(input);
        if (engine.Database.Files.Find(before.InputFileId) is { } file && file.Bytes != stamp.Length)
        {
            throw new EndOfStreamException("The input file's size is another than that of the upload.");
        }

        if (before.OutputFileId is not null && LineIndex.Read(index, stamp) is { } known)
        {
            return known;
        }

        ValidationRules rules = ValidationRules.LocalService with
        {
            Endpoint = before.Endpoint,
            // A batch that was let in stays in, whatever limits a later start has.
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

    /// <summary>Runs the lines until all are done, the window ends, somebody cancels or the service stops.</summary>
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
        // A cancel's grace may be long; a stop of the service does not wait for it.
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

    /// <summary>Ends with the window. A timer counts on while the clock is set or the machine sleeps: so the clock is looked at.</summary>
    private async Task WindowAsync(CancellationToken over)
    {
        while (record.ExpiresAt - engine.Time.GetUtcNow() is { Ticks: > 0 } left)
        {
            await Task.Delay(left < s_clockLook ? left : s_clockLook, engine.Time, over);
        }
    }

    private static Task AddErrorToRestAsync(LineRun run, BatchStatus outcome) => outcome switch
    {
        BatchStatus.Cancelled => run.AddErrorToRestAsync(LineOutcome.CancelledCode, CancelledMessage),
        BatchStatus.Expired => run.AddErrorToRestAsync(LineOutcome.ExpiredCode, ExpiredMessage),
        _ => Task.CompletedTask,
    };

    private static bool IsPassing(Exception exception) =>
        exception is IOException and not (FileNotFoundException or EndOfStreamException) or SqliteException or UnauthorizedAccessException;

    /// <summary>One broken batch must not take the others down: it ends as failed, and says why.</summary>
    private bool TryFail(Exception exception)
    {
        Log.BatchBroken(engine.Logger, record.Id, exception);
        try
        {
            BatchResults reached = engine.ResultFiles.KeepPartialResults(State.Record, engine.Time.GetUtcNow());
            string message = exception switch
            {
                FileNotFoundException => "The input file is gone.",
                EndOfStreamException => "The input file has not the size any more that it had when it was uploaded.",
                _ => "The batch could not go on; the service's log says why.",
            };
            string code = exception switch { FileNotFoundException => "file_not_found", EndOfStreamException => "file_changed", _ => "server_error" };
            End(BatchStatus.Failed, [new ServiceError(code, reached.Files.Count > 0 ? message + " Results it had got are kept." : message)], reached);
            return true;
        }
        catch (Exception again)
        {
            if (!IsPassing(again))
            {
                Log.BatchBroken(engine.Logger, record.Id, again);
            }

            return false;
        }
    }

    private BatchRecord End(BatchStatus outcome, IReadOnlyList<ServiceError> errors, BatchResults results)
    {
        LineIndex.Delete(engine.ResultFiles.IndexOf(record)); // Before the end is stored: nobody would look for it after.
        return State.End(outcome, errors, results);
    }

    private async Task CloseRunAsync()
    {
        if (_run is { } run)
        {
            State.Show(null);
            _run = null;
            await engine.Dispatcher.StopAsync(run, TimeSpan.Zero);
            engine.Progress.Leave(record.Id);
            run.Dispose();
        }
    }
}
