using System.Text.Json;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The statistics of a batch, as <c>/v1/batches/{id}/statistics</c> returns them.</summary>
public sealed class StatisticsTests
{
    [Fact]
    public async Task Latencies_tokens_and_errors_are_counted()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt switch
        {
            "prompt 2" => call.AnswerAsync(400, """{"error":{"message":"no","type":"invalid_request_error","code":"bad_thing"}}"""),
            "prompt 3" => call.AnswerAsync(413, """{"error":{"message":"no","type":"too_large_error","code":null}}"""),
            "prompt 4" => call.AnswerAsync(400, """{"error":{"message":"no","type":"invalid_request_error","code":"bad_thing"}}"""),
            "prompt 5" => call.AnswerAsync(505, "<html>", "text/html"),
            "prompt 6" => call.DropInsideAsync(),
            _ => call.OkAsync(),
        });
        await using TestService service = await StartAsync(upstream);
        string id = await service.Api.SubmitAsync(Requests.File(8));
        await service.Api.EndAsync(id);

        JsonElement statistics = await service.Api.GetAsync($"batches/{id}/statistics");
        Assert.Equal("batch.statistics", statistics.GetProperty("object").GetString());
        Assert.Equal(id, statistics.GetProperty("batch_id").GetString());
        Assert.Equal(7, statistics.GetProperty("latency_ms").GetProperty("count").GetInt32()); // All except the line without a response.
        AssertHistogram(statistics.GetProperty("input_tokens"), "le 3: 3", 9, 3);
        AssertHistogram(statistics.GetProperty("output_tokens"), "le 2: 3", 6, 2);
        Assert.Equal(
            [
                ("bad_thing", 400, 2, "The upstream answered 400 Bad Request."),
                ("inference_failed", null, 1, "(the message of the service)"),
                ("too_large_error", 413, 1, "The upstream answered 413 Payload Too Large."),
                ("upstream_error", 505, 1, "The upstream answered 505 HTTP Version Not Supported."),
            ],
            Errors(statistics, "error_codes", "count").Select(error => error.Status is null ? error with { Message = "(the message of the service)" } : error));
        Assert.Equal([6, 5, 4, 3, 2], Errors(statistics, "last_errors", "line").Select(error => error.Number));
    }

    [Fact]
    public async Task All_failures_of_the_echo_model_are_counted()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = "echo?fail=0.5&seed=3",
            Engine = new EngineSettings { MaxAttempts = 1 },
        });
        string id = await service.Api.SubmitAsync(Requests.File(200));
        JsonElement batch = await service.Api.EndAsync(id);
        JsonElement statistics = await service.Api.GetAsync($"batches/{id}/statistics");
        int failed = batch.GetProperty("request_counts").GetProperty("failed").GetInt32();
        Assert.InRange(failed, 1, 199);
        var errors = Errors(statistics, "error_codes", "count").ToList();
        Assert.Equal(failed, errors.Sum(error => error.Number));
        Assert.Equal(["server_error", "timeout_error"], errors.Select(error => error.Code).Order());
        Assert.Equal(200, statistics.GetProperty("latency_ms").GetProperty("count").GetInt32());
        Assert.Equal(
            batch.GetProperty("usage").GetProperty("input_tokens").GetInt64(), statistics.GetProperty("input_tokens").GetProperty("sum").GetInt64());
    }

    [Fact]
    public async Task The_latency_is_that_of_the_last_attempt()
    {
        var time = new FakeTime { SkipsWaits = false };
        var release = new TaskCompletionSource();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await release.Task;
            await call.OkAsync();
        });
        await using TestService service = await StartAsync(upstream, time);
        string id = await service.Api.SubmitAsync(Requests.File(1));
        await UntilAsync(() => upstream.AtOnce == 1);
        time.Advance(TimeSpan.FromMilliseconds(250));
        release.SetResult();
        await service.Api.EndAsync(id);
        AssertHistogram((await service.Api.GetAsync($"batches/{id}/statistics")).GetProperty("latency_ms"), "le 300: 1", 250, 250);
    }

    [Fact]
    public async Task Statistics_contain_nothing_of_a_prompt_or_a_response()
    {
        const string Secret = "planted-secret";
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(
            call.Prompt == $"{Secret} 1" ? 400 : 422,
            JsonSerializer.Serialize(new { error = new { message = $"Cannot do '{call.Prompt}'", code = call.Prompt, type = "x" } })));
        using var folder = new TempFolder();
        await using TestService service = await StartAsync(upstream, folder: folder);
        string id = await service.Api.SubmitAsync(string.Concat(Enumerable.Range(1, 2).Select(i => Requests.Chat($"r-{i}", $"{Secret} {i}") + "\n")));
        await service.Api.EndAsync(id);
        JsonElement statistics = await service.Api.GetAsync($"batches/{id}/statistics");
        Assert.Equal(["http_400", "http_422"], Errors(statistics, "error_codes", "count").Select(error => error.Code));
        Assert.DoesNotContain(Secret, statistics.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, Stored.Read(folder.Path, database => database.Statistics.Find(id)), StringComparison.Ordinal);
    }

    [Fact]
    public void The_number_of_error_codes_is_limited()
    {
        var statistics = new LineStatistics();
        for (int i = 1; i <= 60; i++)
        {
            statistics.Add(i, LineOutcome.OfAnswer(400, JsonSerializer.SerializeToUtf8Bytes(new { error = new { code = $"code_{i}" } }), default, TimeSpan.Zero));
        }

        statistics.Add(61, LineOutcome.OfNoAnswer(LineOutcome.CancelledCode, LocalBatch.CancelledMessage));
        JsonElement json = JsonDocument.Parse(statistics.ToJson()).RootElement;
        var codes = Errors(json, "error_codes", "count").ToList();
        Assert.Equal(51, codes.Count);
        Assert.Equal(("other", null, 11, "Other errors."), codes[0]);
        Assert.Equal([60, 59, 58, 57, 56], Errors(json, "last_errors", "line").Select(error => error.Number));
    }

    [Fact]
    public void A_histogram_counts_values_at_bucket_bounds_and_can_be_added()
    {
        var statistics = new LineStatistics();
        foreach (double milliseconds in new[] { 0, 0.2, 1, 1.1, 10, 11, 1_000_000, 1_000_001 })
        {
            statistics.Add(1, LineOutcome.OfAnswer(200, "{}"u8, default, TimeSpan.FromMilliseconds(milliseconds)));
        }

        const string Buckets = "le 1: 3, le 2: 1, le 10: 1, le 15: 1, le 1000000: 1, le null: 1";
        string json = statistics.ToJson();
        AssertHistogram(JsonDocument.Parse(json).RootElement.GetProperty("latency_ms"), Buckets, 2_000_026, 1_000_001);
        var again = new LineStatistics();
        again.AddStored(json);
        Assert.Equal(json, again.ToJson());
    }

    [Fact]
    public async Task A_finished_batch_has_its_statistics_after_a_restart()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 2" ? call.AnswerAsync(400, "{}") : call.OkAsync());
        using var folder = new TempFolder();
        string id, before;
        await using (TestService service = await StartAsync(upstream, folder: folder))
        {
            id = await service.Api.SubmitAsync(Requests.File(4));
            await service.Api.EndAsync(id);
            before = (await service.Api.GetAsync($"batches/{id}/statistics")).GetRawText();
        }

        await using TestService again = await StartAsync(upstream, folder: folder);
        Assert.Equal(before, (await again.Api.GetAsync($"batches/{id}/statistics")).GetRawText());
    }

    [Fact]
    public async Task A_resumed_batch_continues_its_statistics()
    {
        var time = new FakeTime { SkipsWaits = false };
        bool stalls = true;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call =>
            call.Prompt == "prompt 1" ? call.AnswerAsync(400, """{"error":{"code":"bad_thing"}}""")
            : call.Prompt == "prompt 4" && Volatile.Read(ref stalls) ? call.StallAsync() : call.OkAsync());
        using var folder = new TempFolder();
        string id;
        await using (TestService service = await StartAsync(upstream, time, folder))
        {
            id = await service.Api.SubmitAsync(Requests.File(4));
            await service.Api.DoneAsync(id, 3);
            AssertTotals(await service.Api.GetAsync($"batches/{id}/statistics"), latencies: 3, tokens: 2);
        }

        Volatile.Write(ref stalls, false);
        await using TestService again = await StartAsync(upstream, time, folder);
        await again.Api.EndAsync(id);
        AssertTotals(await again.Api.GetAsync($"batches/{id}/statistics"), latencies: 4, tokens: 3);

        static void AssertTotals(JsonElement statistics, int latencies, int tokens)
        {
            Assert.Equal(latencies, statistics.GetProperty("latency_ms").GetProperty("count").GetInt32());
            Assert.Equal(tokens, statistics.GetProperty("input_tokens").GetProperty("count").GetInt32());
            Assert.Equal(("bad_thing", 400, 1, "The upstream answered 400 Bad Request."), Errors(statistics, "error_codes", "count").Single());
        }
    }

    [Fact]
    public async Task Statistics_are_stored_half_a_second_after_a_line_ends()
    {
        var time = new FakeTime { SkipsWaits = false };
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 1" ? call.OkAsync() : call.StallAsync());
        await using TestService service = await StartAsync(upstream, time);
        string id = await service.Api.SubmitAsync(Requests.File(2));
        await service.Api.DoneAsync(id, 1);
        Assert.Null(Stored.Read(service.DataPath, database => database.Statistics.Find(id)));
        time.Advance(TimeSpan.FromSeconds(0.5));
        (string? statistics, long completed) = Stored.Read(
            service.DataPath, database => (database.Statistics.Find(id), database.Batches.Find(id)!.Counts.Completed));
        Assert.Equal(1, JsonDocument.Parse(statistics!).RootElement.GetProperty("latency_ms").GetProperty("count").GetInt32());
        Assert.Equal(1, completed);
    }

    [Fact]
    public async Task After_a_kill_only_the_latest_latencies_are_missing()
    {
        bool stalls = true;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt switch
        {
            "prompt 1" => call.AnswerAsync(400, """{"error":{"code":"bad_thing"}}"""),
            "prompt 2" => call.AnswerAsync(500, "<html>", "text/html"),
            "prompt 5" when Volatile.Read(ref stalls) => call.StallAsync(),
            _ => call.OkAsync(),
        });
        using var folder = new TempFolder();
        string[] options = ["--upstream", upstream.Address, "--concurrency", "1", "--max-attempts", "1"];
        string id;
        using (ServerProcess server = await ServerProcess.ServeAsync(folder.Path, options))
        {
            using var api = new ApiCaller(server.Address);
            id = await api.SubmitAsync(Requests.File(5));
            await api.DoneAsync(id, 4);
            await server.KillAsync();
        }

        Volatile.Write(ref stalls, false);
        using ServerProcess again = await ServerProcess.ServeAsync(folder.Path, options);
        using var caller = new ApiCaller(again.Address);
        await caller.EndAsync(id);
        JsonElement statistics = await caller.GetAsync($"batches/{id}/statistics");
        AssertHistogram(statistics.GetProperty("input_tokens"), "le 3: 3", 9, 3);
        Assert.Equal([("bad_thing", 400), ("upstream_error", 500)], Errors(statistics, "error_codes", "count").Select(error => (error.Code, error.Status!.Value)));
        Assert.Equal([2, 1], Errors(statistics, "last_errors", "line").Select(error => error.Number));
        Assert.InRange(statistics.GetProperty("latency_ms").GetProperty("count").GetInt32(), 1, 5);
    }

    [Fact]
    public void A_database_of_an_earlier_version_gets_the_statistics_table()
    {
        using var folder = new TempFolder();
        string path = folder.File("batches.db");
        using (Database database = Database.Open(path))
        {
            database.Execute("DROP TABLE batch_statistics");
        }

        using Database again = Database.Open(path);
        again.Statistics.Keep("batch_1", "{}");
        Assert.Equal("{}", again.Statistics.Find("batch_1"));
    }

    [Fact]
    public async Task A_batch_that_never_ran_has_empty_statistics()
    {
        await using TestService service = await TestService.StartAsync();
        string id = await service.Api.SubmitAsync("no json\n");
        Assert.Equal("failed", (await service.Api.EndAsync(id)).GetProperty("status").GetString());
        JsonElement statistics = await service.Api.GetAsync($"batches/{id}/statistics");
        AssertHistogram(statistics.GetProperty("latency_ms"), "", 0, null);
        Assert.Equal(37, statistics.GetProperty("latency_ms").GetProperty("buckets").GetArrayLength());
        Assert.Equal(0, statistics.GetProperty("error_codes").GetArrayLength());
        Assert.Equal(0, statistics.GetProperty("last_errors").GetArrayLength());
        Assert.Equal("not_found", (await service.Api.GetAsync("batches/batch_x/statistics", 404)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Statistics_of_a_batch_of_another_key_are_not_found()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"] });
        using var first = new ApiCaller(service.Address, "key-1");
        using var second = new ApiCaller(service.Address, "key-2");
        string id = await first.SubmitAsync(Requests.File(1));
        await first.EndAsync(id);
        await first.GetAsync($"batches/{id}/statistics");
        await second.GetAsync($"batches/{id}/statistics", 404);
        await service.Api.GetAsync($"batches/{id}/statistics", 401);
    }

    private static Task<TestService> StartAsync(FaultUpstream upstream, TimeProvider? time = null, TempFolder? folder = null) => TestService.StartAsync(
        settings => settings with
        {
            Upstream = upstream.Address,
            Engine = new EngineSettings { Concurrency = 1, MaxAttempts = 1, StopGrace = TimeSpan.Zero },
        },
        time,
        folder);

    private static IEnumerable<(string Code, int? Status, int Number, string Message)> Errors(JsonElement statistics, string list, string number) =>
        statistics.GetProperty(list).EnumerateArray().Select(error => (
            error.GetProperty("code").GetString()!,
            error.GetProperty("status_code") is { ValueKind: JsonValueKind.Number } status ? status.GetInt32() : (int?)null,
            error.GetProperty(number).GetInt32(),
            error.GetProperty("message").GetString()!));

    private static void AssertHistogram(JsonElement histogram, string buckets, long sum, long? max)
    {
        var filled = histogram.GetProperty("buckets").EnumerateArray().Where(bucket => bucket.GetProperty("count").GetInt64() > 0).ToList();
        Assert.Equal(buckets, string.Join(", ", filled.Select(bucket => $"le {bucket.GetProperty("le").GetRawText()}: {bucket.GetProperty("count")}")));
        Assert.Equal(filled.Sum(bucket => bucket.GetProperty("count").GetInt64()), histogram.GetProperty("count").GetInt64());
        Assert.Equal(sum, histogram.GetProperty("sum").GetInt64());
        Assert.Equal(max, histogram.GetProperty("max") is { ValueKind: JsonValueKind.Number } number ? number.GetInt64() : null);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 3000 && !condition(); i++)
        {
            await Task.Delay(10);
        }

        Assert.True(condition());
    }
}
