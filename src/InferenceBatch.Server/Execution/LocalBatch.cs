using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Execution;

/// <summary>
/// One batch from creation to its end. What is between two changes of its <see cref="State"/> can be done again from the
/// files alone, so going on after a crash is the same path as going on at all.
/// </summary>
internal sealed class LocalBatch(BatchRecord record, BatchEngine engine) : IDisposable
{
    public const string ExpiredCode = "batch_expired";
    public const string CancelledCode = "batch_cancelled";
    public const string ExpiredMessage = "This request could not be executed before the completion window expired.";
    public const string CancelledMessage = "This request could not be executed because the batch was cancelled.";

    private const string Kept = "Results it had got are kept.";
    private const int MaxIssues = 10_000;

    private static readonly TimeSpan s_retryWait = TimeSpan.FromSeconds(5);

    /// <summary>How late it is noticed that the clock was set on, or that the machine has slept.</summary>
    private static readonly TimeSpan s_clockLook = TimeSpan.FromSeconds(5);

    private volatile LineRun? _run;

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
                engine.Troubles.End(Troubles.Storage, record.Id);
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
                engine.Troubles.Begin(Troubles.Storage, record.Id, Troubles.StorageMessage, exception.Message);
            }
            finally
            {
                await CloseRunAsync();
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
        if (await ReadLinesAsync(input, stop) is not { } spans)
        {
            return;
        }

        LineRun run = _run = engine.ResultFiles.Open(State.Record, input, spans);
        State.Show(run);
        engine.Progress.Add(record.Id, run);
        if (run.Log.Dropped > 0)
        {
            Log.ResultsDamaged(engine.Logger, record.Id, run.Log.Dropped);
        }

        BatchStatus outcome = State.Record switch
        {
            { Status: BatchStatus.Cancelling } => BatchStatus.Cancelled,
            // A power cut may have taken results that were thought to be whole.
            { Status: BatchStatus.Finalizing } ends when ends.Outcome != BatchStatus.Completed || run.Finished.IsCompleted => ends.Outcome,
            _ => await DispatchAsync(run, stop),
        };
        outcome = State.BeginEnd(outcome);
        await AddErrorToRestAsync(run, outcome);
        run.Log.Sync();
        engine.Progress.Leave(record.Id);
        End(outcome, [], new BatchResults(engine.ResultFiles.Keep(State.Record, run.Log, engine.Time.GetUtcNow()), run.Counts, run.Usage));
    }

    /// <summary>Where the lines of the input stand; null where they are not valid, which ends the batch.</summary>
    private async Task<RequestSpan[]?> ReadLinesAsync(string input, CancellationToken stop)
    {
        BatchRecord before = State.Record;
        string index = engine.ResultFiles.IndexOf(before);
        FileStamp stamp = FileStamp.Of(input);
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
            Fail([.. report.Issues.Where(issue => issue.Severity == IssueSeverity.Error || issue.Code == IssueCodes.MoreIssues)
                .Select(issue => new ServiceError(issue.Code, issue.Message, issue.Param, issue.Line))]);
            return null;
        }

        State.Begin(report);
        LineIndex.Write(index, stamp, spans);
        return spans;
    }

    /// <summary>Runs the lines until all are done, the window ends, somebody cancels or the service stops.</summary>
    private async Task<BatchStatus> DispatchAsync(LineRun run, CancellationToken stop)
    {
        if (record.ExpiresAt <= engine.Time.GetUtcNow())
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
            run.Log.Sync();
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
        BatchStatus.Cancelled => run.AddErrorToRestAsync(CancelledCode, CancelledMessage),
        BatchStatus.Expired => run.AddErrorToRestAsync(ExpiredCode, ExpiredMessage),
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
            Fail([exception switch
            {
                FileNotFoundException => new ServiceError("file_not_found", $"The input file is gone. {Kept}"),
                EndOfStreamException => new ServiceError("file_changed", $"The input file has become shorter since the batch began. {Kept}"),
                _ => new ServiceError("server_error", $"The batch could not go on; the service's log says why. {Kept}"),
            }]);
            return true;
        }
        catch (Exception again) when (IsPassing(again))
        {
            return false;
        }
    }

    private void Fail(IReadOnlyList<ServiceError> errors) => End(BatchStatus.Failed, errors, Reached());

    private void End(BatchStatus outcome, IReadOnlyList<ServiceError> errors, BatchResults results)
    {
        LineIndex.Delete(engine.ResultFiles.IndexOf(record)); // Before the end is stored: nobody would look for it after.
        State.End(outcome, errors, results);
    }

    /// <summary>What a batch that cannot go on has got already: it is paid for.</summary>
    private BatchResults Reached()
    {
        BatchRecord batch = State.Record;
        if (batch.OutputFileId is null)
        {
            return new BatchResults([], batch.Counts, null);
        }

        int completed = 0, failed = 0;
        LineUsage sum = default;
        try
        {
            using ResultLog log = engine.ResultFiles.OpenLog(batch, (_, outcome) =>
            {
                completed += outcome.IsSuccess ? 1 : 0;
                failed += outcome.IsSuccess ? 0 : 1;
                sum += outcome.Usage;
            });
            log.Sync();
            return new BatchResults(
                engine.ResultFiles.Keep(batch, log, engine.Time.GetUtcNow()), new RequestCounts(batch.Counts.Total, completed, failed), sum.ToTokenUsage());
        }
        catch (InvalidDataException)
        {
            return new BatchResults([], batch.Counts, null); // They are somebody else's.
        }
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
