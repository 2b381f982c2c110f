using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class RetryTests
{
    [Theory]
    [InlineData(408)]
    [InlineData(409)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_temporary_status_is_retried(int status)
    {
        (JsonElement batch, FaultUpstream upstream, _) = await RunAsync(call => call.Attempt < 3
            ? call.AnswerAsync(status, """{"error":{"message":"later"}}""", headers: ("retry-after-ms", "1"))
            : call.OkAsync());
        Assert.Equal(1, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.Equal(3, upstream.Attempts["prompt 1"]);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(422)]
    public async Task Any_other_4xx_is_the_result(int status)
    {
        (_, FaultUpstream upstream, JsonElement line) = await RunAsync(call =>
            call.AnswerAsync(status, """{"error":{"message":"no","type":"t","param":null,"code":"c"}}""", headers: ("x-request-id", "req_up-1")));
        Assert.Equal(1, upstream.Attempts["prompt 1"]);
        Assert.Equal(JsonValueKind.Null, line.GetProperty("error").ValueKind);
        Assert.Equal(status, line.GetProperty("response").GetProperty("status_code").GetInt32());
        Assert.Equal("req_up-1", line.GetProperty("response").GetProperty("request_id").GetString());
        Assert.Equal("c", line.GetProperty("response").GetProperty("body").GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task The_upstream_decides_with_x_should_retry()
    {
        (_, FaultUpstream never, JsonElement line) = await RunAsync(call =>
            call.AnswerAsync(500, "{}", headers: ("x-should-retry", "false")));
        Assert.Equal(1, never.Attempts["prompt 1"]);
        Assert.Equal(500, line.GetProperty("response").GetProperty("status_code").GetInt32());

        (JsonElement batch, FaultUpstream once, _) = await RunAsync(call => call.Attempt == 1
            ? call.AnswerAsync(400, "{}", headers: [("x-should-retry", "true"), ("retry-after-ms", "1")])
            : call.OkAsync());
        Assert.Equal(2, once.Attempts["prompt 1"]);
        Assert.Equal(1, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
    }

    [Fact]
    public async Task The_response_to_the_last_attempt_is_stored()
    {
        (_, FaultUpstream upstream, JsonElement line) = await RunAsync(call =>
            call.AnswerAsync(500, $$$"""{"error":{"message":"attempt {{{call.Attempt}}}"}}""", headers: ("retry-after-ms", "1")), attempts: 3);
        Assert.Equal(3, upstream.Attempts["prompt 1"]);
        Assert.Equal(500, line.GetProperty("response").GetProperty("status_code").GetInt32());
        Assert.Equal("attempt 3", line.GetProperty("response").GetProperty("body").GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_retry_waits_for_retry_after_in_seconds()
    {
        var waited = new ConcurrentQueue<long>();
        await RunAsync(call =>
        {
            waited.Enqueue(Stopwatch.GetTimestamp());
            return call.Attempt == 1 ? call.AnswerAsync(429, "{}", headers: ("Retry-After", "1")) : call.OkAsync();
        });
        long[] times = [.. waited];
        Assert.Equal(2, times.Length);
        Assert.True(Stopwatch.GetElapsedTime(times[0], times[1]) >= TimeSpan.FromSeconds(0.95));
    }

    [Theory]
    [InlineData("drop")]
    [InlineData("inside")]
    [InlineData("stall")]
    [InlineData("html")]
    [InlineData("cut")]
    [InlineData("empty")]
    public async Task A_response_that_is_not_valid_is_retried(string fault)
    {
        (JsonElement batch, FaultUpstream upstream, _) = await RunAsync(
            call => call.Attempt == 1 ? FailAsync(call, fault) : call.OkAsync(), requestTimeout: TimeSpan.FromSeconds(fault == "stall" ? 0.3 : 30));
        Assert.Equal(1, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.Equal(2, upstream.Attempts["prompt 1"]);
    }

    [Theory]
    [InlineData("drop", "inference_failed")]
    [InlineData("inside", "inference_failed")]
    [InlineData("stall", "request_timeout")]
    [InlineData("html", "inference_failed")]
    public async Task A_line_without_a_response_says_why(string fault, string code)
    {
        (JsonElement batch, _, JsonElement line) = await RunAsync(call => FailAsync(call, fault), attempts: 1, requestTimeout: TimeSpan.FromSeconds(0.3));
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal(JsonValueKind.Null, line.GetProperty("response").ValueKind);
        Assert.Equal(code, line.GetProperty("error").GetProperty("code").GetString());
        Assert.NotEmpty(line.GetProperty("error").GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task A_long_text_is_not_cut_inside_an_emoji()
    {
        (_, _, JsonElement line) = await RunAsync(call => call.AnswerAsync(
            400, "x" + string.Concat(Enumerable.Repeat("😀", 400)), "text/plain; charset=utf-8"));
        string message = line.GetProperty("response").GetProperty("body").GetProperty("error").GetProperty("message").GetString()!;
        Assert.Equal("x" + string.Concat(Enumerable.Repeat("😀", (message.Length - 1) / 2)), message);
        Assert.InRange(message.Length, 400, 500);
    }

    [Fact]
    public async Task An_html_error_becomes_an_error_object()
    {
        (_, _, JsonElement line) = await RunAsync(call => call.AnswerAsync(400, "<html>no\n</html>", "text/html"));
        JsonElement error = line.GetProperty("response").GetProperty("body").GetProperty("error");
        Assert.Equal("<html>no\n</html>", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_retry_after_date_is_read()
    {
        (_, FaultUpstream upstream, _) = await RunAsync(call => call.Attempt == 1
            ? call.AnswerAsync(503, "{}", headers: ("Retry-After", DateTimeOffset.UtcNow.AddSeconds(-5).ToString("R", CultureInfo.InvariantCulture)))
            : call.OkAsync());
        Assert.Equal(2, upstream.Attempts["prompt 1"]);
    }

    [Fact]
    public async Task The_path_and_the_key_are_sent_and_usage_is_added_up()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.OkAsync());
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address, UpstreamKey = "sk-up" });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(4)));
        Assert.All(upstream.Heads, head => Assert.Equal(("/v1/chat/completions", "Bearer sk-up"), head));
        Assert.Equal(
            """{"input_tokens":12,"input_tokens_details":{"cached_tokens":4},"output_tokens":8,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":20}""",
            batch.GetProperty("usage").GetRawText());
        List<JsonElement> lines = await service.Api.LinesAsync(batch.GetProperty("output_file_id"));
        Assert.All(lines, line => Assert.Equal(
            "re: prompt " + line.GetProperty("custom_id").GetString()![2..],
            line.GetProperty("response").GetProperty("body").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()));
    }

    private static Task FailAsync(FaultUpstream.Call call, string fault) => fault switch
    {
        "drop" => call.Drop(),
        "inside" => call.DropInsideAsync(),
        "stall" => call.StallAsync(),
        "html" => call.AnswerAsync(200, "<html>", "text/html"),
        "cut" => call.AnswerAsync(200, """{"choices":[{"""),
        _ => call.AnswerAsync(200, ""),
    };

    private static async Task<(JsonElement Batch, FaultUpstream Upstream, JsonElement Line)> RunAsync(
        Func<FaultUpstream.Call, Task> answer, int attempts = 5, TimeSpan? requestTimeout = null)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(answer);
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            Engine = new EngineSettings { MaxAttempts = attempts, RequestTimeout = requestTimeout ?? TimeSpan.FromSeconds(30) },
        });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(1)));
        JsonElement file = batch.GetProperty("output_file_id") is { ValueKind: JsonValueKind.String } output ? output : batch.GetProperty("error_file_id");
        return (batch, upstream, (await service.Api.LinesAsync(file)).Single());
    }
}
