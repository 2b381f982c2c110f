using System.Net;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>How batches end early, by cancellation or expiry, and what can be read before the end.</summary>
public sealed class EndingTests
{
    [Fact]
    public async Task Cancel_keeps_the_results_and_adds_an_error_for_each_other_line()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt is "prompt 1" or "prompt 2" ? call.OkAsync() : call.StallAsync());
        await using TestService service = await StartAsync(upstream, TimeProvider.System, new EngineSettings { Concurrency = 3, CancelGrace = TimeSpan.Zero });
        string id = await service.Api.SubmitAsync(Requests.File(5));
        await service.Api.DoneAsync(id, 2);
        await service.Api.CancelAsync(id);
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("cancelled", batch.GetProperty("status").GetString());
        Assert.True(batch.GetProperty("cancelling_at").GetInt64() > 0);
        Assert.True(batch.GetProperty("cancelled_at").GetInt64() > 0);
        await AssertHalfDoneAsync(service, batch, "batch_cancelled", "This request could not be executed because the batch was cancelled.");
    }

    [Fact]
    public async Task Cancel_lets_lines_in_flight_end_during_the_grace()
    {
        var release = new TaskCompletionSource();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await release.Task;
            await call.OkAsync();
        });
        await using TestService service = await StartAsync(upstream, TimeProvider.System, new EngineSettings { Concurrency = 2, CancelGrace = TimeSpan.FromSeconds(30) });
        string id = await service.Api.SubmitAsync(Requests.File(5));
        await UntilAsync(() => upstream.AtOnce == 2);
        Assert.Equal("cancelling", (await service.Api.CancelAsync(id)).GetProperty("status").GetString());
        Assert.Equal("cancelling", (await service.Api.CancelAsync(id)).GetProperty("status").GetString());
        release.SetResult();
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("""{"total":5,"completed":2,"failed":3}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(2, upstream.Attempts.Count);
    }

    [Fact]
    public async Task Cancel_right_after_create_adds_an_error_for_every_line()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        await using TestService service = await StartAsync(upstream, TimeProvider.System, new EngineSettings { CancelGrace = TimeSpan.Zero });
        string id = await service.Api.SubmitAsync(Requests.File(3000));
        await service.Api.CancelAsync(id);
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("cancelled", batch.GetProperty("status").GetString());
        Assert.Equal("""{"total":3000,"completed":0,"failed":3000}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(3000, (await service.Api.LinesAsync(batch.GetProperty("error_file_id"))).Count);
    }

    [Fact]
    public async Task A_stop_of_the_service_does_not_wait_for_the_grace_of_a_cancel()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        TestService service = await StartAsync(upstream, TimeProvider.System, new EngineSettings { CancelGrace = TimeSpan.FromHours(1) });
        string id = await service.Api.SubmitAsync(Requests.File(2));
        await UntilAsync(() => upstream.AtOnce == 2);
        await service.Api.CancelAsync(id);
        await service.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_batch_expires_when_its_window_ends()
    {
        var time = new FakeTime { SkipsWaits = false };
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt is "prompt 1" or "prompt 2" ? call.OkAsync() : call.StallAsync());
        await using TestService service = await StartAsync(
            upstream, time, new EngineSettings { Concurrency = 3, RequestTimeout = TimeSpan.FromDays(2) });
        string id = await service.Api.SubmitAsync(Requests.File(5));
        await service.Api.DoneAsync(id, 2);
        time.Advance(TimeSpan.FromHours(24));
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("expired", batch.GetProperty("status").GetString());
        Assert.Equal(batch.GetProperty("expires_at").GetInt64(), batch.GetProperty("expired_at").GetInt64());
        await AssertHalfDoneAsync(service, batch, "batch_expired", "This request could not be executed before the completion window expired.");
    }

    [Fact]
    public async Task A_line_that_waits_for_a_retry_expires_too()
    {
        var time = new FakeTime { SkipsWaits = false };
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(429, "{}", headers: ("Retry-After", "60")));
        await using TestService service = await StartAsync(upstream, time, new EngineSettings { CompletionWindow = TimeSpan.FromSeconds(30) });
        string id = await service.Api.SubmitAsync(Requests.File(1));
        await UntilAsync(() => upstream.Attempts.Count == 1 && upstream.AtOnce == 0);
        time.Advance(TimeSpan.FromSeconds(30));
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("expired", batch.GetProperty("status").GetString());
        Assert.Equal(1, upstream.Attempts["prompt 1"]);
    }

    [Fact]
    public async Task A_running_batch_shows_its_results_so_far()
    {
        var release = new TaskCompletionSource();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            if (call.Prompt == "prompt 4")
            {
                await release.Task;
            }

            await (call.Prompt == "prompt 3" ? call.AnswerAsync(400, "{}") : call.OkAsync());
        });
        await using TestService service = await StartAsync(upstream, TimeProvider.System, new EngineSettings { Concurrency = 1 });
        string input = await service.Api.UploadAsync(Requests.File(4));
        string id = (await service.Api.CreateAsync(input)).GetProperty("id").GetString()!;
        JsonElement batch = await service.Api.DoneAsync(id, 3);
        Assert.Equal("in_progress", batch.GetProperty("status").GetString());
        Assert.Equal("""{"total":4,"completed":2,"failed":1}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Single(await service.Api.LinesAsync(batch.GetProperty("error_file_id")));

        string output = batch.GetProperty("output_file_id").GetString()!;
        using (HttpResponseMessage part = await service.Api.Http.GetAsync($"files/{output}/content?offset=1"))
        {
            Assert.Equal("true", part.Headers.GetValues("X-Incomplete").Single());
            Assert.Equal("2", part.Headers.GetValues("X-Last-Line").Single());
            Assert.Equal("r-2", JsonDocument.Parse(await part.Content.ReadAsStringAsync()).RootElement.GetProperty("custom_id").GetString());
        }

        // A file that still grows has no ETag, so an empty ETag of the caller does not match.
        using (var conditional = new HttpRequestMessage(HttpMethod.Get, $"files/{output}/content") { Headers = { { "Range", "bytes=1-" }, { "If-Range", "\"\"" } } })
        using (HttpResponseMessage whole = await service.Api.Http.SendAsync(conditional))
        {
            Assert.Equal(HttpStatusCode.OK, whole.StatusCode);
        }

        Assert.Equal("batch_output", (await service.Api.GetAsync($"files/{output}")).GetProperty("purpose").GetString());
        foreach (string file in new[] { input, output })
        {
            using HttpResponseMessage delete = await service.Api.Http.DeleteAsync($"files/{file}");
            Assert.Equal("file_in_use", (await ApiCaller.ReadAsync(delete, 409)).GetProperty("error").GetProperty("code").GetString());
        }

        release.SetResult();
        JsonElement ended = await service.Api.EndAsync(id);
        Assert.Equal(output, ended.GetProperty("output_file_id").GetString());
        using HttpResponseMessage rest = await service.Api.Http.GetAsync($"files/{output}/content?offset=2");
        Assert.Equal("false", rest.Headers.GetValues("X-Incomplete").Single());
        Assert.Equal("r-4", JsonDocument.Parse(await rest.Content.ReadAsStringAsync()).RootElement.GetProperty("custom_id").GetString());
    }

    [Fact]
    public async Task Expired_files_are_deleted()
    {
        var time = new FakeTime { SkipsWaits = false };
        await using TestService service = await TestService.StartAsync(time: time);
        using var form = new MultipartFormDataContent();
        form.Add(new StringContent("batch"), "purpose");
        form.Add(new StringContent("created_at"), "expires_after[anchor]");
        form.Add(new StringContent("3600"), "expires_after[seconds]");
        form.Add(new StringContent("{}"), "file", "in.jsonl");
        using HttpResponseMessage response = await service.Api.Http.PostAsync("files", form);
        string id = (await ApiCaller.ReadAsync(response, 200)).GetProperty("id").GetString()!;
        time.Advance(TimeSpan.FromSeconds(3599));
        await service.Api.GetAsync($"files/{id}");
        time.Advance(TimeSpan.FromSeconds(1));
        await service.Api.GetAsync($"files/{id}", 404);
        time.Advance(TimeSpan.FromHours(1));
        Assert.Empty(Directory.GetFiles(Path.Combine(service.DataPath, "files")));
    }

    [Fact]
    public async Task A_batch_that_is_overdue_at_the_start_expires_without_sending_a_line()
    {
        var time = new FakeTime { SkipsWaits = false };
        using var folder = new TempFolder();
        string id;
        await using (FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync()))
        await using (TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            Engine = new EngineSettings { StopGrace = TimeSpan.Zero },
        }, time, folder))
        {
            id = await service.Api.SubmitAsync(Requests.File(2));
            await UntilAsync(() => upstream.AtOnce == 2);
        }

        time.Advance(TimeSpan.FromHours(25));
        await using FaultUpstream unused = await FaultUpstream.StartAsync(call => call.OkAsync());
        await using TestService again = await TestService.StartAsync(settings => settings with { Upstream = unused.Address }, time, folder);
        JsonElement batch = await again.Api.EndAsync(id);
        Assert.Equal("expired", batch.GetProperty("status").GetString());
        Assert.Empty(unused.Attempts);
    }

    private static Task<TestService> StartAsync(FaultUpstream upstream, TimeProvider time, EngineSettings engine) =>
        TestService.StartAsync(settings => settings with { Upstream = upstream.Address, Engine = engine }, time);

    private static async Task AssertHalfDoneAsync(TestService service, JsonElement batch, string code, string message)
    {
        Assert.Equal("""{"total":5,"completed":2,"failed":3}""", batch.GetProperty("request_counts").GetRawText());
        List<JsonElement> output = await service.Api.LinesAsync(batch.GetProperty("output_file_id"));
        Assert.Equal(["r-1", "r-2"], output.Select(line => line.GetProperty("custom_id").GetString()!).Order());
        List<JsonElement> errors = await service.Api.LinesAsync(batch.GetProperty("error_file_id"));
        Assert.Equal(["r-3", "r-4", "r-5"], errors.Select(line => line.GetProperty("custom_id").GetString()!));
        Assert.All(errors, line =>
        {
            Assert.Equal(JsonValueKind.Null, line.GetProperty("response").ValueKind);
            Assert.Equal($$"""{"code":"{{code}}","message":"{{message}}"}""", line.GetProperty("error").GetRawText());
        });
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
