using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>A run whose requests fail is reported early, and stops at the limit.</summary>
public sealed class RunStopTests
{
    private static FailureLimit Limit(string text) => FailureLimit.TryParse(text, out FailureLimit? limit) ? limit : throw new ArgumentException(text);

    [Theory]
    [InlineData("1", true)]
    [InlineData("20", true)]
    [InlineData(" 5 % ", true)]
    [InlineData("0.5%", true)]
    [InlineData("0", true)]
    [InlineData("100%", true)]
    [InlineData("-1", false)]
    [InlineData("1.5", false)]
    [InlineData("101%", false)]
    [InlineData("-5%", false)]
    [InlineData("%", false)]
    [InlineData("5%%", false)]
    [InlineData("five", false)]
    [InlineData("1e3", false)]
    [InlineData("NaN", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_limit_is_a_count_or_a_percentage(string? text, bool isLimit) => Assert.Equal(isLimit, FailureLimit.TryParse(text, out _));

    [Theory]
    [InlineData("3", 2, 100, false)]
    [InlineData("3", 3, 3, true)]
    [InlineData("0", 0, 100, false)]
    [InlineData("0", 1, 1, true)]
    [InlineData("10%", 19, 19, false)]
    [InlineData("10%", 2, 20, true)]
    [InlineData("10%", 1, 20, false)]
    [InlineData("0%", 1, 20, true)]
    [InlineData("100%", 20, 20, true)]
    public void A_percentage_applies_from_twenty_results(string limit, long failed, long results, bool isReached) =>
        Assert.Equal(isReached, Limit(limit).IsReached(failed, results));

    [Theory]
    [InlineData(20, 1)]
    [InlineData(19, 0)]
    public async Task Twenty_first_failures_with_one_code_are_reported_once(int count, int reports)
    {
        using var bench = new RunBench { Count = count * 2, PartSize = count };
        bench.Service.AnswerOf = (_, id) => BatchService.Failed(id, 400, "bad_model");
        await bench.RunAsync();
        // The second batch comes after the first, so there are forty failures with the same code in total.
        Assert.Equal(count == 20 ? reports : 1, bench.Seen.AllFailed.Count);
        Assert.All(bench.Seen.AllFailed, seen => Assert.Equal((20, "bad_model"), (seen.Count, seen.Cause.Code)));
        bench.Seen.AllFailed.Clear();
        await bench.RunAsync();
        Assert.Empty(bench.Seen.AllFailed); // The failures are from an earlier process.
    }

    [Theory]
    [InlineData("r20")]
    [InlineData("r1")]
    public async Task One_success_or_other_code_among_them_prevents_the_report(string other)
    {
        using var bench = new RunBench { Count = 40, PartSize = 40 };
        bench.Service.AnswerOf = (_, id) => id == other ? BatchService.Failed(id, 400, "another") : BatchService.Failed(id, 400, "bad_model");
        await bench.RunAsync();
        Assert.Empty(bench.Seen.AllFailed);
    }

    [Theory]
    [InlineData("3")]
    [InlineData("1")]
    [InlineData("50%")]
    [InlineData("100%")]
    public async Task At_the_limit_open_batches_are_cancelled_and_every_row_has_a_result(string limit)
    {
        using var bench = new RunBench { Count = 100, PartSize = 25 };
        bench.Service.AnswerOf = (_, id) => BatchService.Failed(id, 400);
        bench.Service.EndOnly = "batch-1";
        Dictionary<string, BatchResult> results = await bench.RunAsync(new RunOptions { MaxFailed = Limit(limit) });
        Assert.True(bench.Engine!.IsStopped);
        Assert.Equal(100, results.Count);
        Assert.Equal(25, results.Values.Count(result => result.Status == ResultStatus.Failed));
        Assert.Equal(75, results.Values.Count(result => result is { Status: ResultStatus.Cancelled, Error.Code: "batch_cancelled" }));
        Assert.Equal([(25L, 25L, 3)], bench.Seen.Stops);
        Assert.Equal(3, bench.Service.Server.Requests.Count(exchange => exchange.Path.EndsWith("/cancel", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Below_the_limit_the_run_continues()
    {
        using var bench = new RunBench { Count = 60, PartSize = 20 };
        bench.Service.AnswerOf = (_, id) => id is "r1" or "r2" ? BatchService.Failed(id, 400) : BatchService.Good(id);
        await bench.RunAsync(new RunOptions { MaxFailed = Limit("3") });
        await bench.RunAsync(new RunOptions { MaxFailed = Limit("11%") });
        Assert.False(bench.Engine!.IsStopped);
        Assert.Equal(3, bench.Service.Creates);
    }

    [Fact]
    public async Task Parts_without_room_are_not_sent_and_their_rows_have_the_reason()
    {
        using var bench = new RunBench { Count = 6, PartSize = 2 };
        bench.Service.QueueSize = 1;
        bench.Service.AnswerOf = (_, id) => BatchService.Failed(id, 400);
        Dictionary<string, BatchResult> results = await bench.RunAsync(new RunOptions { MaxFailed = Limit("2") });
        Assert.Equal(2, results.Values.Count(result => result.Status == ResultStatus.Failed));
        Assert.Equal(4, results.Values.Count(result => result is { Status: ResultStatus.Cancelled, Error.Code: "run_stopped" }));
        Assert.Equal(2, bench.Service.Files.Values.Take(1).Single().Count);
        Assert.Single(bench.Service.Batches.Values, batch => !batch.IsRefused);
    }

    [Fact]
    public async Task Requests_that_were_to_be_retried_keep_their_last_result()
    {
        using var bench = new RunBench { Count = 6, PartSize = 2 };
        bench.Service.AnswerOf = (_, id) => id is "r1" or "r2" ? BatchService.Failed(id, 503, "busy") : id == "r3" ? BatchService.Failed(id, 400, "bad") : BatchService.Good(id);
        Dictionary<string, BatchResult> results = await bench.RunAsync(new RunOptions { MaxFailed = Limit("1"), Ordered = true });
        Assert.Equal(bench.Ids, results.Keys);
        Assert.Equal(("busy", 503), (results["r1"].Error?.Code, results["r1"].StatusCode));
        Assert.Equal(("busy", "bad"), (results["r2"].Error?.Code, results["r3"].Error?.Code));
        Assert.All((string[])["r4", "r5", "r6"], id => Assert.Equal(ResultStatus.Succeeded, results[id].Status));
        Assert.Equal(3, bench.Service.Creates);
    }

    /// <summary>Every row fails for a temporary reason. A retry would pay for the same failures.</summary>
    [Theory]
    [InlineData(429, "rate_limit_exceeded", "20")]
    [InlineData(500, "server_error", "100%")]
    [InlineData(503, "busy", "1")]
    public async Task If_all_rows_fail_the_run_stops_before_a_retry(int status, string code, string limit)
    {
        using var bench = new RunBench { Count = 40, PartSize = 20 };
        bool isRepaired = false;
        bench.Service.AnswerOf = (_, id) => isRepaired ? BatchService.Good(id) : BatchService.Failed(id, status, code);
        var options = new RunOptions { MaxFailed = Limit(limit) };
        Dictionary<string, BatchResult> results = await bench.RunAsync(options);
        Assert.True(bench.Engine!.IsStopped);
        Assert.Equal((40, 2), (results.Values.Count(result => result.Error?.Code == code), bench.Service.Creates));
        Assert.Equal([(40L, 40L, 0)], bench.Seen.Stops);

        isRepaired = true; // Failures before the stop do not count again.
        Assert.All((await bench.RunAsync(options)).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
    }

    [Theory]
    [InlineData("5", "r40")]
    [InlineData("50%", "r1")]
    public async Task If_one_row_succeeds_the_others_are_retried(string limit, string good)
    {
        using var bench = new RunBench { Count = 40, PartSize = 20 };
        bench.Service.AnswerOf = (tries, id) => id == good || tries > 1 ? BatchService.Good(id) : BatchService.Failed(id, 429);
        Assert.All((await bench.RunAsync(new RunOptions { MaxFailed = Limit(limit) })).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.False(bench.Engine!.IsStopped);
    }

    [Fact]
    public async Task A_batch_of_rows_that_will_be_retried_does_not_cancel_others()
    {
        using var bench = new RunBench { Count = 40, PartSize = 20 };
        bench.Service.AnswerOf = (tries, id) => tries == 1 && bench.Ids.Take(20).Contains(id) ? BatchService.Failed(id, 429) : BatchService.Good(id);
        Assert.All((await bench.RunAsync(new RunOptions { MaxFailed = Limit("20") })).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_same_command_resumes_a_stopped_run(bool retryFailed)
    {
        using var bench = new RunBench { Count = 8, PartSize = 2 };
        bool isRepaired = false;
        bench.Service.AnswerOf = (_, id) => isRepaired ? BatchService.Good(id) : BatchService.Failed(id, 400);
        bench.Service.EndOnly = "batch-1";
        var options = new RunOptions { MaxFailed = Limit("2") };
        await bench.RunAsync(options);
        Assert.True(bench.Engine!.IsStopped);

        (isRepaired, bench.Service.EndOnly) = (true, null);
        Dictionary<string, BatchResult> results = await bench.RunAsync(options with { RetryFailed = retryFailed });
        Assert.False(bench.Engine!.IsStopped);
        string[] failed = retryFailed ? [] : ["r1", "r2"];
        Assert.Equal(failed, results.Values.Where(result => result.Status != ResultStatus.Succeeded).Select(result => result.CustomId).Order());
        Assert.All(bench.Service.Billed.Values, times => Assert.Equal(1, times));

        int calls = bench.Service.Server.Requests.Count;
        Assert.Equal(8, (await bench.RunAsync(options)).Count);
        Assert.Equal(calls, bench.Service.Server.Requests.Count);
    }

    [Fact]
    public async Task A_run_killed_between_the_stop_and_the_end_of_its_batches_is_resumed()
    {
        using var bench = new RunBench { Count = 8, PartSize = 2 };
        bool isRepaired = false;
        bench.Service.AnswerOf = (_, id) => isRepaired ? BatchService.Good(id) : BatchService.Failed(id, 400);
        bench.Service.EndOnly = "batch-1";
        using var kill = new CancellationTokenSource();
        bench.Service.OnCall = exchange =>
        {
            if (exchange.Path.EndsWith("batch-3/cancel", StringComparison.Ordinal))
            {
                kill.Cancel();
            }

            return null;
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => bench.RunAsync(new RunOptions { MaxFailed = Limit("2") }, kill.Token));
        (isRepaired, bench.Service.EndOnly) = (true, null);
        Dictionary<string, BatchResult> results = await bench.RunAsync();
        Assert.Equal(["r1", "r2"], results.Values.Where(result => result.Status != ResultStatus.Succeeded).Select(result => result.CustomId).Order());
        Assert.All(bench.Service.Billed.Values, times => Assert.Equal(1, times));
    }

    /// <summary>An unavailable service or a full queue is not a failure of the requests.</summary>
    [Theory]
    [InlineData(503, "c", false)]
    [InlineData(429, "token_limit_exceeded", false)]
    [InlineData(400, "c", true)]
    [InlineData(402, "c", true)]
    public async Task Only_rows_that_the_service_refused_count_as_failed(int status, string code, bool isStopped)
    {
        using var bench = new RunBench { Count = 4, PartSize = 2 };
        bench.Service.OnCall = exchange => exchange.Path == (status == 503 ? "/v1/files" : "/v1/batches") && bench.Service.Creates > 0 ? BatchService.Error(status, code) : null;
        Dictionary<string, BatchResult> results = await bench.RunAsync(new RunOptions { MaxFailed = Limit("1"), Timeout = TimeSpan.FromMinutes(1) });
        Assert.Equal(isStopped, bench.Engine!.IsStopped);
        Assert.Equal(isStopped ? ResultStatus.Cancelled : ResultStatus.Succeeded, results["r1"].Status);
        Assert.Equal("not_sent", results["r3"].Error?.Code);
    }

    /// <summary>A service without a cancel route runs its batches to the end, so the run does not wait for them.</summary>
    [Fact]
    public async Task A_batch_that_cannot_be_cancelled_is_left_and_its_rows_have_the_reason()
    {
        using var bench = new RunBench { Count = 4, PartSize = 2 };
        bench.Service.AnswerOf = (_, id) => BatchService.Failed(id, 400);
        bench.Service.EndOnly = "batch-1";
        bench.Service.OnCall = exchange => exchange.Path.EndsWith("/cancel", StringComparison.Ordinal) ? Answer.Html(404) : null;
        Dictionary<string, BatchResult> results = await bench.RunAsync(new RunOptions { MaxFailed = Limit("2") });
        Assert.Equal(4, results.Count);
        Assert.All((string[])["r3", "r4"], id => Assert.Equal((ResultStatus.Missing, "run_stopped"), (results[id].Status, results[id].Error?.Code)));
        Assert.Single(bench.Seen.Problems);
        Assert.Empty(bench.Seen.Left);
        bench.Service.EndOnly = null;
        Assert.Equal(4, (await bench.RunAsync()).Values.Count(result => result.Status == ResultStatus.Failed));
        Assert.Equal(2, bench.Service.Creates);
    }
}
