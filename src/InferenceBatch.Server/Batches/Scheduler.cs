using System.Collections.Concurrent;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Batches;

/// <summary>Holds the batches that have not ended: starts them, goes on with them after a restart, stops them.</summary>
internal sealed class Scheduler(EngineServices engine) : IAsyncDisposable
{
    private static readonly TimeSpan s_sweepEvery = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<string, (LocalBatch Batch, Task Ended)> _running = new();
    private readonly CancellationTokenSource _stop = new();
    private ITimer? _sweep;

    /// <summary>Whether new batches are taken.</summary>
    public bool IsReady => _sweep is not null && !_stop.IsCancellationRequested;

    /// <summary>Goes on with what the last process left.</summary>
    public void Start()
    {
        List<BatchRecord> unfinished = engine.Database.Batches.Unfinished();
        if (unfinished.Count > 0)
        {
            Log.Recovering(engine.Logger, unfinished.Count);
        }

        unfinished.ForEach(Launch);
        _sweep = engine.Time.CreateTimer(_ => Sweep(), null, TimeSpan.Zero, s_sweepEvery);
    }

    /// <summary>Keeps a new batch and starts it; false when its input file is gone.</summary>
    public bool Create(BatchRecord record)
    {
        bool hasInput = engine.Database.Batches.Insert(record);
        if (hasInput)
        {
            Launch(record);
        }

        return hasInput;
    }

    /// <summary>A batch as it stands now, whoever's it is.</summary>
    public BatchRecord? Find(string id) =>
        _running.TryGetValue(id, out (LocalBatch Batch, Task) running) ? running.Batch.State.Snapshot() : engine.Database.Batches.Find(id);

    /// <summary>What the ended lines of a batch add up to, as JSON, whoever's it is.</summary>
    public string FindStatistics(string id) =>
        (_running.TryGetValue(id, out (LocalBatch Batch, Task) running) ? running.Batch.Statistics() : null)
        ?? engine.Database.Statistics.Find(id) ?? LineStatistics.None;

    /// <summary>One page of an owner's batches as they stand now; null when <paramref name="after"/> names none of them.</summary>
    public List<BatchRecord>? List(string owner, string? after, int limit) =>
        engine.Database.Batches.List(owner, after, limit)?.ConvertAll(record =>
            !record.IsFinished && _running.TryGetValue(record.Id, out (LocalBatch Batch, Task) running) ? running.Batch.State.Snapshot() : record);

    /// <summary>Asks a batch to end early; null where there is none of this id.</summary>
    public BatchRecord? Cancel(string id)
    {
        if (_running.TryGetValue(id, out (LocalBatch Batch, Task) running))
        {
            running.Batch.State.Cancel();
        }

        return Find(id);
    }

    /// <summary>The result file of a running batch as it is so far, with the batch it belongs to.</summary>
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

    /// <summary>Stops all batches where they can go on at the next start.</summary>
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
            await sweep.DisposeAsync(); // Once it is back, none of its work is under way.
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
