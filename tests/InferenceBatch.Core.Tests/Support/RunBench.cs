using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Service;

namespace InferenceBatch.Support;

/// <summary>Runs against a <see cref="BatchService"/>, over one checkpoint folder and a clock that skips waits.</summary>
internal sealed class RunBench : IDisposable
{
    public BatchService Service { get; } = new();

    public FakeTime Time { get; init; } = new();

    public string Folder { get; } = Directory.CreateTempSubdirectory("bench-").FullName;

    public RunRecorder Seen { get; } = new();

    public int Count { get; init; } = 6;

    public int PartSize { get; init; } = 2;

    /// <summary>Returns the endpoint of a request.</summary>
    public Func<string, string> EndpointOf { get; set; } = _ => "/v1/chat/completions";

    public string Journal => Path.Combine(Folder, "journal.jsonl");

    /// <summary>The engine of the last run.</summary>
    public RunEngine? Engine { get; private set; }

    public IEnumerable<string> Ids => Enumerable.Range(1, Count).Select(i => $"r{i}");

    /// <summary>Starts a process anew on the checkpoint; gives its results by their ids, each once.</summary>
    public async Task<Dictionary<string, BatchResult>> RunAsync(RunOptions? options = null, CancellationToken cancellationToken = default)
    {
        var results = new List<BatchResult>();
        await RunIntoAsync(results, options, cancellationToken);
        Assert.Equal(results.Count, results.DistinctBy(result => result.CustomId).Count());
        return results.ToDictionary(result => result.CustomId);
    }

    /// <summary>As <see cref="RunAsync"/>; what came before an exception stays in the list.</summary>
    public async Task RunIntoAsync(List<BatchResult> results, RunOptions? options = null, CancellationToken cancellationToken = default)
    {
        using RunStore store = RunStore.Open(Folder);
        store.Begin(Service.Server.BaseUri);
        using var input = new RunInput(store, PartSize, 1_000_000, deduplicate: false);
        foreach (string id in Ids)
        {
            input.Add(new BatchRequest { CustomId = id, Url = EndpointOf(id), BodyUtf8 = Encoding.UTF8.GetBytes($$"""{"model":"m","n":"{{id}}"}""") });
        }

        using RunRequests all = input.Complete();
        Engine = new RunEngine(Clients.For(Service.Server, Time), store, all, options ?? new RunOptions(), Seen);
        using var late = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        await foreach (BatchResult result in Engine.RunAsync(either.Token))
        {
            results.Add(result);
        }
    }

    public void Dispose()
    {
        Service.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>Writes down what a run tells.</summary>
internal sealed class RunRecorder : RunObserver
{
    public List<Exception> Problems { get; } = [];

    public List<string> Left { get; } = [];

    public List<(string Text, TimeSpan Since)> Outages { get; } = [];

    public List<(int Parts, string Text)> Queues { get; } = [];

    public List<(int Count, ServiceError Cause, bool IsResumed)> AllFailed { get; } = [];

    public List<(long Failed, long Results, int Batches)> Stops { get; } = [];

    public List<string> FailedBatches { get; } = [];

    public override void OnProblem(Exception problem) => Problems.Add(problem);

    public override void OnWaitEnded(string batchId, ServiceException? reason, ServiceException? lastFailure) => Left.Add(batchId);

    public override void OnOutage(ServiceException failure, TimeSpan duration) => Outages.Add((failure.Message, duration));

    public override void OnQueueFull(int parts, ServiceException reason) => Queues.Add((parts, reason.Message));

    public override void OnAllFailed(int count, BatchResult first, bool isResumed) => AllFailed.Add((count, first.Error!, isResumed));

    public override void OnStopped(long failed, long results, int batches) => Stops.Add((failed, results, batches));

    public override void OnBatchFailed(Batch batch) => FailedBatches.Add(batch.Id);
}
