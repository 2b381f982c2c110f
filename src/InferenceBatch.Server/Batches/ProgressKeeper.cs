using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// Stores the counts and statistics of all running batches in the database, every half second in one transaction, so that a
/// batch shows its progress right after a restart. A kill loses only the latencies and retries of the last half second.
/// </summary>
internal sealed class ProgressKeeper : IDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(0.5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, StoredRun> _runs = [];
    private readonly Database _database;
    private readonly ITimer _timer;

    public ProgressKeeper(Database database, TimeProvider time)
    {
        _database = database;
        _timer = time.CreateTimer(_ => StoreAll(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Adds the stored latencies and retries to a run, and stores its progress from now on.</summary>
    public void Add(string batchId, LineRun run)
    {
        if (_database.Statistics.Find(batchId) is { } json)
        {
            run.AddStored(json);
        }

        lock (_gate)
        {
            _runs.Add(batchId, new StoredRun(run));
            if (_runs.Count == 1)
            {
                _timer.Change(s_interval, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>Stores the progress of a run for the last time: before its final status is stored, or when it stops.</summary>
    public void Remove(string batchId)
    {
        lock (_gate)
        {
            if (_runs.TryGetValue(batchId, out StoredRun? stored))
            {
                Store([new(batchId, stored)]);
                _runs.Remove(batchId);
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void StoreAll()
    {
        lock (_gate)
        {
            Store(_runs);
            if (_runs.Count > 0)
            {
                _timer.Change(s_interval, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Store(IEnumerable<KeyValuePair<string, StoredRun>> runs)
    {
        List<(string BatchId, StoredRun Stored, long Done)> changed =
            [.. runs.Select(run => (run.Key, run.Value, run.Value.Run.Counts.Done)).Where(run => run.Done != run.Value.Done)];
        if (changed.Count == 0)
        {
            return;
        }

        try
        {
            _database.Write(() => changed.ForEach(run =>
            {
                _database.Batches.UpdateProgress(run.BatchId, run.Stored.Run.Counts, run.Stored.Run.Usage);
                _database.Statistics.Keep(run.BatchId, run.Stored.Run.Statistics);
            }));
            changed.ForEach(run => run.Stored.Done = run.Done);
        }
        catch (SqliteException)
        {
            // The disk is full. The batch itself reports it, and the next attempt follows soon.
        }
    }

    private sealed class StoredRun(LineRun run)
    {
        public LineRun Run { get; } = run;

        /// <summary>How many lines the stored progress includes.</summary>
        public long Done { get; set; } = run.Counts.Done;
    }
}
