using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>With RetryFailed, rows that failed for a reason that the user has fixed are retried, and no others.</summary>
public sealed class RunRetryFailedTests : IDisposable
{
    private static readonly RunOptions s_retry = new() { RetryFailed = true };

    private readonly RunBench _bench = new();
    private bool _isRepaired;

    private BatchService Service => _bench.Service;

    public void Dispose() => _bench.Dispose();

    /// <summary>Never retried automatically, with any status.</summary>
    [Theory]
    [InlineData(401, "invalid_api_key")]
    [InlineData(403, "permission_denied")]
    [InlineData(429, "insufficient_quota")]
    [InlineData(429, "billing_hard_limit_reached")]
    [InlineData(500, "insufficient_quota")]
    [InlineData(0, "invalid_api_key")]
    [InlineData(404, "model_not_found")]
    [InlineData(400, "c")]
    [InlineData(402, "c")]
    [InlineData(501, "c")]
    public async Task Final_failures_are_retried_only_with_RetryFailed(int status, string code)
    {
        Service.AnswerOf = (_, id) => id is "r2" or "r5" && !_isRepaired ? BatchService.Failed(id, status, code) : BatchService.Good(id);
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.Equal(["r2", "r5"], Failed(results));
        Assert.Equal(3, Service.Creates);
        Assert.Equal(["r2", "r5"], Failed(await _bench.RunAsync()));
        Assert.Equal(3, Service.Creates);

        _isRepaired = true;
        results = await _bench.RunAsync(s_retry);
        Assert.Empty(Failed(results));
        Assert.Equal(4, Service.Creates);
        Assert.Equal(["r2", "r5"], Service.Files["file-4"]);
        Assert.All(Service.Billed.Values, times => Assert.Equal(1, times));

        // The checkpoint has the newer results.
        Assert.Empty(Failed(await _bench.RunAsync()));
        Assert.Empty(Failed(await _bench.RunAsync(s_retry)));
        Assert.Equal(4, Service.Creates);
    }

    /// <summary>The local service stores such lines as 502, which is retried. A line of a hosted service means the same.</summary>
    [Theory]
    [InlineData("""{"error":"text"}""")]
    [InlineData("""{"error":true}""")]
    [InlineData("""{"error":{"message":"m","code":"unheard_of"}}""")]
    [InlineData("""{"detail":"busy"}""")]
    [InlineData("""{"success":false,"errors":[{"code":7003,"message":"m"}]}""")]
    [InlineData("""{"choices":[]}""")]
    public async Task An_error_in_a_body_of_status_200_without_a_status_is_temporary(string body)
    {
        Service.AnswerOf = (tries, id) => id != "r2" || tries > 1 ? BatchService.Good(id)
            : "{\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"body\":" + body + "},\"error\":null}\n";
        Assert.Empty(Failed(await _bench.RunAsync()));
        Assert.Equal(4, Service.Creates);
    }

    [Theory]
    [InlineData("""{"error":{"code":400,"message":"m"}}""")]
    [InlineData("""{"error":{"code":"content_filter","message":"m"}}""")]
    public async Task An_error_in_a_body_of_status_200_that_names_a_final_status_is_final(string body)
    {
        Service.AnswerOf = (_, id) => id != "r2" ? BatchService.Good(id)
            : "{\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"body\":" + body + "},\"error\":null}\n";
        Assert.Equal(["r2"], Failed(await _bench.RunAsync()));
        Assert.Equal(3, Service.Creates);
    }

    [Fact]
    public async Task An_error_in_a_body_of_status_200_is_final_by_its_code()
    {
        Service.AnswerOf = (_, id) => "{\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"body\":{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}},\"error\":null}\n";
        Assert.Equal(6, Failed(await _bench.RunAsync()).Count);
        Assert.Equal(3, Service.Creates);
    }

    [Theory]
    [InlineData("expired")]
    [InlineData("missing")]
    [InlineData("not_sent")]
    public async Task Other_rows_without_an_answer_are_retried_too(string how)
    {
        RunOptions once = new() { MaxAttempts = 1 };
        Service.AnswerOf = (_, id) => _isRepaired || how == "not_sent" ? BatchService.Good(id) : how == "missing" ? null : BatchService.Errored(id, "batch_expired");
        Service.OnCall = exchange => how == "not_sent" && !_isRepaired && exchange.Path == "/v1/batches" ? BatchService.Error(400, "c") : null;
        Assert.Equal(6, Failed(await _bench.RunAsync(once)).Count);
        _isRepaired = true;
        Assert.Empty(Failed(await _bench.RunAsync(once with { RetryFailed = true })));
        Assert.All(Service.Billed.Values, times => Assert.Equal(1, times));
    }

    [Fact]
    public async Task Cancelled_requests_are_not_retried()
    {
        Service.FinalStatus = "cancelled";
        await _bench.RunAsync();
        Service.FinalStatus = "completed";
        Assert.All((await _bench.RunAsync(s_retry)).Values, result => Assert.Equal(ResultStatus.Cancelled, result.Status));
        Assert.Equal(3, Service.Creates);
    }

    [Fact]
    public async Task Requests_of_a_lost_batch_are_missing_and_retried_only_with_RetryFailed()
    {
        Service.FinalStatus = "in_progress";
        await _bench.RunAsync(new RunOptions { Timeout = TimeSpan.FromSeconds(1) });
        Service.Batches["batch-2"].IsForgotten = true;
        Service.FinalStatus = "completed";
        for (int run = 0; run < 2; run++)
        {
            Dictionary<string, BatchResult> results = await _bench.RunAsync();
            Assert.Equal(["r3", "r4"], Failed(results));
            Assert.Equal((ResultStatus.Missing, "batch_not_found"), (results["r3"].Status, results["r3"].Error?.Code));
            Assert.Equal(3, Service.Creates);
        }

        Assert.Empty(Failed(await _bench.RunAsync(s_retry)));
        int calls = Service.Server.Requests.Count;
        Assert.Empty(Failed(await _bench.RunAsync()));
        Assert.Equal(calls, Service.Server.Requests.Count);
    }

    [Fact]
    public async Task A_retried_request_may_fail_again_and_gets_all_its_attempts()
    {
        Service.AnswerOf = (times, id) => id != "r1" ? BatchService.Good(id) : BatchService.Failed(id, times == 1 ? 400 : 500);
        Assert.Equal(["r1"], Failed(await _bench.RunAsync()));
        Assert.Equal(["r1"], Failed(await _bench.RunAsync(s_retry)));
        Assert.Equal(3 + 3, Service.Creates); // The retry has three attempts of its own.
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.Equal(500, results["r1"].StatusCode);
        Assert.Equal(3 + 3, Service.Creates);
    }

    /// <summary>A run killed after any step of a retry is resumed with or without RetryFailed, and nothing is paid for twice.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_retry_can_be_killed_at_any_step(bool again)
    {
        for (int steps = 1; ; steps++)
        {
            using var bench = new RunBench();
            bool isRepaired = false;
            bench.Service.AnswerOf = (_, id) => id is "r2" or "r5" && !isRepaired ? BatchService.Failed(id, 401) : BatchService.Good(id);
            await bench.RunAsync();
            isRepaired = true;
            int before = File.ReadAllLines(bench.Journal).Length;
            using var kill = new CancellationTokenSource();
            bench.Service.OnCall = _ =>
            {
                if (File.ReadAllLines(bench.Journal).Length < before + steps)
                {
                    return null;
                }

                kill.Cancel();
                return Answer.Drop;
            };
            bool isKilled = false;
            try
            {
                await bench.RunAsync(s_retry, kill.Token);
            }
            catch (OperationCanceledException)
            {
                isKilled = true;
            }

            if (File.ReadAllLines(bench.Journal) is { } journal && journal.Length > before + steps)
            {
                File.WriteAllLines(bench.Journal, journal.Take(before + steps));
                isKilled = true;
            }

            bench.Service.OnCall = _ => null;
            Assert.Empty(Failed(await bench.RunAsync(again ? s_retry : null)));
            Assert.Empty(Failed(await bench.RunAsync()));
            Assert.Equal(4, bench.Service.Creates);
            Assert.All(bench.Service.Billed.Values, times => Assert.Equal(1, times));
            if (!isKilled)
            {
                Assert.InRange(steps, 5, 10);
                return;
            }
        }
    }

    private static List<string> Failed(Dictionary<string, BatchResult> results) =>
        [.. results.Values.Where(result => result.Status != ResultStatus.Succeeded).Select(result => result.CustomId).Order()];
}
