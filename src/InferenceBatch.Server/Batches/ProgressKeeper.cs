using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// Keeps how far running batches are in the database, counts and statistics, every half second and all in one
/// transaction: after a restart a batch must not look as if it began anew. A kill loses the latencies of the last half
/// second, and nothing else.
/// </summary>
internal sealed class ProgressKeeper : IDisposable
{
    private static readonly TimeSpan s_every = TimeSpan.FromSeconds(0.5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Kept> _runs = [];
    private readonly Database _database;
    private readonly ITimer _timer;

    public ProgressKeeper(Database database, TimeProvider time)
    {
        _database = database;
        _timer = time.CreateTimer(_ => KeepAll(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Gives a run the latencies and retries that were kept of it, and keeps its progress from now on.</summary>
    public void Add(string batchId, LineRun run)
    {
        if (_database.Statistics.Find(batchId) is { } json)
        {
            run.AddKept(json);
        }

        lock (_gate)
        {
            _runs.Add(batchId, new Kept(run));
            if (_runs.Count == 1)
            {
                _timer.Change(s_every, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>Keeps a run a last time: before its last status is written, or where it breaks off.</summary>
    public void Leave(string batchId)
    {
        lock (_gate)
        {
            if (_runs.TryGetValue(batchId, out Kept? kept))
            {
                Keep([new(batchId, kept)]);
                _runs.Remove(batchId);
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void KeepAll()
    {
        lock (_gate)
        {
            Keep(_runs);
            if (_runs.Count > 0)
            {
                _timer.Change(s_every, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Keep(IEnumerable<KeyValuePair<string, Kept>> runs)
    {
        List<(string BatchId, Kept Kept, long Done)> changed =
            [.. runs.Select(run => (run.Key, run.Value, run.Value.Run.Counts.Done)).Where(run => run.Done != run.Value.Done)];
        if (changed.Count == 0)
        {
            return;
        }

        try
        {
            _database.Write(() => changed.ForEach(run =>
            {
                _database.Batches.UpdateProgress(run.BatchId, run.Kept.Run.Counts, run.Kept.Run.Usage);
                _database.Statistics.Keep(run.BatchId, run.Kept.Run.Statistics);
            }));
            changed.ForEach(run => run.Kept.Done = run.Done);
        }
        catch (SqliteException)
        {
            // A full disk: the batch itself says so, and the next time comes soon.
        }
    }

    private sealed class Kept(LineRun run)
    {
        public LineRun Run { get; } = run;

        /// <summary>How many lines are in what is kept.</summary>
        public long Done { get; set; } = run.Counts.Done;
    }
}
