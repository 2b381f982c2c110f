using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>More batches than can run at the same time. Running batches have open files; waiting batches must not.</summary>
public sealed class ManyBatchesTests
{
    private const int MaxRunning = 128;
    private const int Batches = MaxRunning + 40;

    [Fact]
    public async Task Waiting_batches_have_no_open_files_can_be_cancelled_and_run_later()
    {
        using var folder = new TempFolder();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await Task.WhenAny(release.Task, call.StallAsync());
            await call.OkAsync();
        });
        await using TestService service = await StartAsync(upstream, folder);
        string file = await service.Api.UploadAsync(Requests.File(1));
        var ids = new List<string>();
        for (int i = 0; i < Batches; i++)
        {
            ids.Add((await service.Api.CreateAsync(file)).GetProperty("id").GetString()!);
        }

        foreach (string id in ids)
        {
            await service.Api.UntilAsync(id, batch => batch.GetProperty("status").GetString() == "in_progress");
        }

        string[] open = [.. ids.Where(id => File.Exists(folder.File($"batches/{id}.output.partial")))];
        Assert.Equal(MaxRunning, open.Length);
        string waiting = ids.Except(open).First();
        await service.Api.CancelAsync(waiting);
        JsonElement cancelled = await service.Api.EndAsync(waiting);
        Assert.Equal("cancelled", cancelled.GetProperty("status").GetString());
        Assert.Equal("batch_cancelled", (await service.Api.LinesAsync(cancelled.GetProperty("error_file_id")))[0].GetProperty("error").GetProperty("code").GetString());

        release.SetResult();
        foreach (string id in ids.Where(id => id != waiting))
        {
            Assert.Equal("completed", (await service.Api.EndAsync(id)).GetProperty("status").GetString());
        }

        Assert.Empty(Directory.GetFileSystemEntries(folder.File("batches")));
    }

    [Fact]
    public async Task A_stop_does_not_wait_for_waiting_batches_and_all_resume_after_it()
    {
        using var folder = new TempFolder();
        bool stalls = true;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => stalls ? call.StallAsync() : call.OkAsync());
        var ids = new List<string>();
        await using (TestService service = await StartAsync(upstream, folder))
        {
            string file = await service.Api.UploadAsync(Requests.File(1));
            for (int i = 0; i < Batches; i++)
            {
                ids.Add((await service.Api.CreateAsync(file)).GetProperty("id").GetString()!);
            }
        }

        stalls = false;
        await using TestService again = await StartAsync(upstream, folder);
        foreach (string id in ids)
        {
            Assert.Equal("completed", (await again.Api.EndAsync(id)).GetProperty("status").GetString());
        }
    }

    /// <summary>A client that polls a file while its batch ends never gets a 404.</summary>
    [Fact]
    public async Task A_result_file_is_always_available_while_its_batch_ends()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 2" ? Task.Delay(20).ContinueWith(_ => call.OkAsync(), TaskScheduler.Default).Unwrap() : call.OkAsync());
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        for (int round = 0; round < 20; round++)
        {
            string id = await service.Api.SubmitAsync(Requests.File(2));
            JsonElement batch = await service.Api.UntilAsync(id, batch => batch.GetProperty("output_file_id").ValueKind == JsonValueKind.String);
            string file = batch.GetProperty("output_file_id").GetString()!;
            Task<JsonElement> ends = service.Api.EndAsync(id);
            do
            {
                await service.Api.GetAsync($"files/{file}");
                using HttpResponseMessage content = await service.Api.Http.GetAsync($"files/{file}/content");
                Assert.Equal(200, (int)content.StatusCode);
                Assert.True(content.Headers.Contains("X-Last-Line"));
            }
            while (!ends.IsCompleted);
            await ends;
        }
    }

    private static Task<TestService> StartAsync(FaultUpstream upstream, TempFolder folder) => TestService.StartAsync(
        settings => settings with { Upstream = upstream.Address, Engine = new EngineSettings { Concurrency = 4, StopGrace = TimeSpan.Zero, CancelGrace = TimeSpan.Zero } },
        folder: folder);
}
