using System.Collections.Concurrent;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Batches;

/// <summary>Starts, resumes and stops the batches that have not ended.</summary>
internal sealed class Scheduler(EngineServices engine) : IAsyncDisposable
{
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<string, (LocalBatch Batch, Task Ended)> _running = new();
    private readonly CancellationTokenSource _stop = new();
    private ITimer? _sweep;

    /// <summary>Whether new batches are accepted.</summary>
    public bool IsReady => _sweep is not null && !_stop.IsCancellationRequested;

    /// <summary>Resumes the unfinished batches of the previous process.</summary>
    public void Start()
    {
        List<BatchRecord> unfinished = engine.Database.Batches.Unfinished();
        if (unfinished.Count > 0)
        {
            Log.Recovering(engine.Logger, unfinished.Count);
        }

        unfinished.ForEach(Launch);
        _sweep = engine.Time.CreateTimer(_ => Sweep(), null, TimeSpan.Zero, s_sweepInterval);
    }

    /// <summary>Stores a new batch and starts it. Returns false if its input file does not exist any more.</summary>
    public bool Create(BatchRecord record)
    {
        bool hasInput = engine.Database.Batches.Insert(record);
        if (hasInput)
        {
            Launch(record);
        }

        return hasInput;
    }

    /// <summary>Returns the current state of a batch of any owner; null if there is none.</summary>
    public BatchRecord? Find(string id) =>
        _running.TryGetValue(id, out (LocalBatch Batch, Task) running) ? running.Batch.State.Snapshot() : engine.Database.Batches.Find(id);

    /// <summary>Returns the statistics of a batch of any owner, as JSON.</summary>
    public string FindStatistics(string id) =>
        (_running.TryGetValue(id, out (LocalBatch Batch, Task) running) ? running.Batch.Statistics() : null)
        ?? engine.Database.Statistics.Find(id) ?? LineStatistics.None;

    /// <summary>Returns one page of the batches of an owner in their current state; null if <paramref name="after"/> is not a batch of the owner.</summary>
    public List<BatchRecord>? List(string owner, string? after, int limit) =>
        engine.Database.Batches.List(owner, after, limit)?.ConvertAll(record =>
            !record.IsFinished && _running.TryGetValue(record.Id, out (LocalBatch Batch, Task) running) ? running.Batch.State.Snapshot() : record);

    /// <summary>Cancels a batch; returns null if it does not exist.</summary>
    public BatchRecord? Cancel(string id)
    {
        if (_running.TryGetValue(id, out (LocalBatch Batch, Task) running))
        {
            running.Batch.State.Cancel();
        }

        return Find(id);
    }

    /// <summary>Returns a result file of a running batch and the batch; null if there is none with this ID.</summary>
    public (BatchRecord Batch, ResultFileWriter File)? FindPartial(string fileId)
    {
        foreach ((LocalBatch batch, _) in _running.Values)
        {
            if (batch.State.FindPartial(fileId) is { } file)
            {
                return (batch.State.Snapshot(), file);
            }
        }

        return null;
    }

    /// <summary>Stops all batches so that they can resume at the next start.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running.Values.Select(running => running.Ended));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (_sweep is { } sweep)
        {
            await sweep.DisposeAsync(); // It returns when no sweep is running.
        }

        _stop.Dispose();
    }

    private void Launch(BatchRecord record)
    {
        var batch = new LocalBatch(record, engine);
        var ended = new TaskCompletionSource();
        _running[record.Id] = (batch, ended.Task);
        _ = Task.Run(async () =>
        {
            try
            {
                await batch.RunAsync(_stop.Token);
            }
            finally
            {
                _running.TryRemove(record.Id, out _);
                batch.Dispose();
                ended.SetResult();
            }
        });
    }

    private void Sweep()
    {
        try
        {
            engine.Files.DeleteExpired();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or Microsoft.Data.Sqlite.SqliteException)
        {
            Log.SweepFailed(engine.Logger, exception.Message);
        }
    }
}
