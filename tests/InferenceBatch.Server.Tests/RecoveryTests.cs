using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests;

/// <summary>The service as a process that is killed or stopped while a batch is half done.</summary>
public sealed class RecoveryTests(ITestOutputHelper log)
{
    private const int Lines = 300;
    private const int Concurrency = 8;

    [Fact]
    public async Task After_kills_every_line_has_one_result()
    {
        log.WriteLine(Seed.Hint);
        Random random = Seed.For("recovery");
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await Task.Delay(5);
            await (call.Prompt.EndsWith('7') ? call.AnswerAsync(400, "{}") : call.OkAsync());
        });
        using var folder = new TempFolder();
        string? id = null;
        int kills = 0;
        foreach (int before in new[] { 0, 40, 60, 80 })
        {
            using ServerProcess server = await ServeAsync(folder, upstream);
            using var api = new ApiCaller(server.Address);
            id ??= await api.SubmitAsync(Requests.File(Lines));
            if (before > 0)
            {
                int answered = (await api.GetAsync($"batches/{id}")).GetProperty("request_counts").GetProperty("completed").GetInt32();
                await api.DoneAsync(id, Math.Min(answered + before, Lines));
            }

            await Task.Delay(random.Next(20));
            await server.KillAsync();
            kills++;
        }

        using ServerProcess last = await ServeAsync(folder, upstream);
        using var caller = new ApiCaller(last.Address);
        JsonElement batch = await caller.EndAsync(id!);
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal($$"""{"total":{{Lines}},"completed":{{Lines - 30}},"failed":30}""", batch.GetProperty("request_counts").GetRawText());
        List<JsonElement> output = await caller.LinesAsync(batch.GetProperty("output_file_id"));
        List<JsonElement> errors = await caller.LinesAsync(batch.GetProperty("error_file_id"));
        Assert.Equal(
            Enumerable.Range(1, Lines).Select(i => $"r-{i}").Order(),
            output.Concat(errors).Select(line => line.GetProperty("custom_id").GetString()!).Order());
        Assert.Equal((Lines - 30) * 5, batch.GetProperty("usage").GetProperty("total_tokens").GetInt32());
        Assert.InRange(upstream.Attempts.Values.Sum() - Lines, 0, kills * Concurrency);
    }

    [Fact]
    public async Task After_SIGTERM_lines_in_flight_end_and_the_batch_resumes_at_the_next_start()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await Task.Delay(20);
            await call.OkAsync();
        });
        using var folder = new TempFolder();
        string id;
        using (ServerProcess server = await ServeAsync(folder, upstream))
        {
            using var api = new ApiCaller(server.Address);
            id = await api.SubmitAsync(Requests.File(Lines));
            await api.DoneAsync(id, 20);
            Assert.Equal(0, await server.TerminateAsync());
        }

        Assert.InRange(upstream.Attempts.Count, 20, Lines - 1);
        using ServerProcess again = await ServeAsync(folder, upstream);
        using var caller = new ApiCaller(again.Address);
        JsonElement batch = await caller.EndAsync(id);
        Assert.Equal(Lines, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
    }

    [Theory]
    [InlineData("{\"id\":\"batch_req_")]
    [InlineData("{\"id")]
    [InlineData("\0\0\0\0\0\0\0\0")]
    [InlineData("{\"id\":\"batch_req_x_7\",\"custom_id\":\0\0\0\n{\"id\":\"batch_req_x_8\"")]
    public async Task An_incomplete_line_is_dropped_and_run_again(string torn)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Attempt == 1 && call.Prompt == "prompt 3" ? call.StallAsync() : call.OkAsync());
        using var folder = new TempFolder();
        string id;
        using (ServerProcess server = await ServeAsync(folder, upstream))
        {
            using var api = new ApiCaller(server.Address);
            id = await api.SubmitAsync(Requests.File(3));
            await api.DoneAsync(id, 2);
            await server.KillAsync();
        }

        await File.AppendAllBytesAsync(Path.Combine(folder.Path, "batches", $"{id}.output.partial"), Encoding.UTF8.GetBytes(torn));
        using ServerProcess again = await ServeAsync(folder, upstream);
        using var caller = new ApiCaller(again.Address);
        JsonElement batch = await caller.EndAsync(id);
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal(["r-1", "r-2", "r-3"], (await caller.LinesAsync(batch.GetProperty("output_file_id")))
            .Select(line => line.GetProperty("custom_id").GetString()!).Order());
        Assert.Equal(2, upstream.Attempts["prompt 3"]);
    }

    [Fact]
    public async Task An_acknowledged_cancel_survives_a_kill()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        using var folder = new TempFolder();
        string id;
        using (ServerProcess server = await ServeAsync(folder, upstream))
        {
            using var api = new ApiCaller(server.Address);
            id = await api.SubmitAsync(Requests.File(3));
            await api.UntilAsync(id, batch => batch.GetProperty("status").GetString() == "in_progress");
            Assert.Equal("cancelling", (await api.CancelAsync(id)).GetProperty("status").GetString());
            await server.KillAsync();
        }

        using ServerProcess again = await ServeAsync(folder, upstream);
        using var caller = new ApiCaller(again.Address);
        JsonElement batch = await caller.EndAsync(id);
        Assert.Equal("cancelled", batch.GetProperty("status").GetString());
        Assert.Equal(3, (await caller.LinesAsync(batch.GetProperty("error_file_id"))).Count);
    }

    private static Task<ServerProcess> ServeAsync(TempFolder folder, FaultUpstream upstream) =>
        ServerProcess.ServeAsync(folder.Path, "--upstream", upstream.Address, "--concurrency", $"{Concurrency}");
}
