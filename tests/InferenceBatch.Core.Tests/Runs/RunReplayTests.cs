using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>
/// A run that is killed after any step of its journal, and resumed after the service has changed: each row has one result,
/// nothing is paid for again, and nothing throws.
/// </summary>
public sealed class RunReplayTests
{
    /// <summary>Two starts: the first ends at its timeout, the second runs to the end. The queue has room for two of three parts.</summary>
    private static readonly RunOptions s_short = new() { Timeout = TimeSpan.FromSeconds(30) };

    [Theory]
    [InlineData("nothing")]
    [InlineData("completed")]
    [InlineData("gone")]
    [InlineData("files deleted")]
    [InlineData("cancelled by somebody else")]
    [InlineData("expired")]
    [InlineData("queue full for a while")]
    [InlineData("away for a while")]
    public async Task A_run_killed_after_any_step_is_resumed_whatever_happened_in_the_meantime(string meanwhile)
    {
        int steps = await KillAsync(int.MaxValue, "nothing");
        Assert.InRange(steps, 25, 60);
        for (int step = 1; step < steps; step++)
        {
            await KillAsync(step, meanwhile);
        }
    }

    /// <summary>Runs until the journal has a number of lines, changes the service, and runs to the end.</summary>
    /// <returns>The number of steps in the journal at the end.</returns>
    private static async Task<int> KillAsync(int steps, string meanwhile)
    {
        using var bench = new RunBench { Count = 7, PartSize = 3 };
        BatchService service = bench.Service;
        // r2 never has an answer, r5 has an answer at the second attempt, r6 has a final refusal.
        service.AnswerOf = (times, id) => id == "r2" || (id == "r5" && times == 1) ? BatchService.Failed(id, 500)
            : id == "r6" ? BatchService.Failed(id, 400) : BatchService.Good(id);
        service.QueueSize = 2;
        using var kill = new CancellationTokenSource();
        service.OnCall = _ =>
        {
            // Steps between two calls do not change the service, so the journal may be truncated between them.
            if (File.ReadAllLines(bench.Journal).Length < steps)
            {
                return null;
            }

            kill.Cancel();
            return Answer.Drop;
        };
        try
        {
            service.FinalStatus = "in_progress";
            await bench.RunAsync(s_short, kill.Token);
            service.FinalStatus = "completed";
            await bench.RunAsync(null, kill.Token);
        }
        catch (OperationCanceledException)
        {
            // Killed.
        }

        if (steps < int.MaxValue)
        {
            File.WriteAllLines(bench.Journal, File.ReadAllLines(bench.Journal).Take(steps));
        }

        service.FinalStatus = "completed";
        service.OnCall = _ => null;
        Change(service, meanwhile);
        string when = $"step {steps}: {File.ReadAllLines(bench.Journal)[^1]}, meanwhile {meanwhile}";
        bench.Seen.Problems.Clear();
        Dictionary<string, BatchResult> results = await bench.RunAsync();

        Assert.True(results.Keys.Order().SequenceEqual(bench.Ids), when);
        Assert.True(bench.Seen.Problems.Count == 0, $"{when}: {bench.Seen.Problems.FirstOrDefault()}");
        Assert.All(bench.Ids, id => Assert.True(service.Billed.GetValueOrDefault(id) <= 1, $"{id} was billed twice; {when}"));
        foreach ((string id, BatchResult result) in results)
        {
            ResultStatus[] expected = id is "r2" or "r6" ? [ResultStatus.Failed] : [ResultStatus.Succeeded];
            ResultStatus? other = meanwhile switch
            {
                "gone" => ResultStatus.Missing,
                "cancelled by somebody else" => ResultStatus.Cancelled,
                "expired" when id == "r2" => ResultStatus.Expired,
                _ => null,
            };
            Assert.True(expected.Contains(result.Status) || result.Status == other, $"{id} is {result.Status} ({result.Error}); {when}");
        }

        // The results of the run are in the checkpoint.
        int calls = service.Server.Requests.Count;
        Dictionary<string, BatchResult> again = await bench.RunAsync();
        Assert.Equal(results.Values.Select(result => (result.CustomId, result.Status)).Order(), again.Values.Select(result => (result.CustomId, result.Status)).Order());
        Assert.True(meanwhile == "gone" || calls == service.Server.Requests.Count, when);
        return File.ReadAllLines(bench.Journal).Length;
    }

    private static void Change(BatchService service, string meanwhile)
    {
        int calls = 0;
        switch (meanwhile)
        {
            case "completed":
                service.EndAll("completed");
                break;
            case "gone":
                service.EndAll("completed");
                service.Batches.Values.ToList().ForEach(batch => batch.IsForgotten = true);
                break;
            case "files deleted":
                service.Files.Clear();
                break;
            case "cancelled by somebody else":
                service.EndAll("cancelled");
                break;
            case "expired":
                service.EndAll("expired");
                break;
            case "queue full for a while":
                service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/batches" } && ++calls < 8
                    ? BatchService.Error(429, "token_limit_exceeded", "Enqueued token limit reached for m.") : null;
                break;
            case "away for a while":
                service.OnCall = exchange => !exchange.Path.EndsWith("/content", StringComparison.Ordinal) && ++calls < 12 ? Answer.Html(503) : null;
                break;
        }
    }
}
