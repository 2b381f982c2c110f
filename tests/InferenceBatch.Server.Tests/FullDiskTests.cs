using System.Net;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The service with a full disk: a small file system in memory.</summary>
public sealed class FullDiskTests
{
    private const int Concurrency = 8;
    private const int Megabyte = 1024 * 1024;

    [SmallDiskFact]
    public async Task An_upload_that_does_not_fit_is_refused_and_leaves_no_file()
    {
        using var disk = new SmallDisk(4 * Megabyte);
        await using TestService service = await StartAsync(disk, "echo");
        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new ByteArrayContent(new byte[8 * Megabyte]), "file", "in.jsonl" },
        };
        using HttpResponseMessage response = await service.Api.Http.PostAsync("files", form);
        JsonElement error = (await ApiCaller.ReadAsync(response, 507)).GetProperty("error");
        Assert.Equal("storage_failed", error.GetProperty("code").GetString());
        Assert.Contains("disk is full", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Path.Combine(service.DataPath, "temp")));
        Assert.Empty(Directory.GetFiles(Path.Combine(service.DataPath, "files")));

        // A file that fits is still accepted.
        Assert.Equal("completed", (await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(3)))).GetProperty("status").GetString());
    }

    [SmallDiskFact]
    public async Task A_running_batch_waits_says_so_and_resumes_when_there_is_room()
    {
        using var disk = new SmallDisk(4 * Megabyte);
        string answer = $$$"""{"text":"{{{new string('x', 100 * 1024)}}}","usage":{"prompt_tokens":1,"completion_tokens":1}}""";
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(200, answer));
        await using TestService service = await StartAsync(disk, upstream.Address);
        string id = await service.Api.SubmitAsync(Requests.File(100)); // 10 MB of answers.
        JsonElement trouble = await UntilIssueAsync(service, "storage");
        Assert.Contains("disk is full", trouble.GetProperty("message").GetString(), StringComparison.Ordinal);
        JsonElement waiting = await service.Api.GetAsync($"batches/{id}");
        Assert.Equal("in_progress", waiting.GetProperty("status").GetString());
        int done = waiting.GetProperty("request_counts").GetProperty("completed").GetInt32();
        Assert.InRange(done, 1, 99);
        Assert.Equal(0, waiting.GetProperty("request_counts").GetProperty("failed").GetInt32());
        // The space that an incomplete write freed may have been enough for another line.
        Assert.InRange((await service.Api.LinesAsync(waiting.GetProperty("output_file_id"))).Count, done, done + Concurrency);

        disk.Grow(64 * Megabyte);
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("""{"total":100,"completed":100,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(100, (await service.Api.LinesAsync(batch.GetProperty("output_file_id"))).DistinctBy(line => line.GetProperty("custom_id").GetString()).Count());
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
        await UntilHealthyAsync(service); // The writer of the progress may need its next turn, half a second later.
    }

    [SmallDiskFact]
    public async Task A_stop_while_the_disk_is_full_loses_nothing()
    {
        using var disk = new SmallDisk(4 * Megabyte);
        string answer = $$"""{"text":"{{new string('x', 100 * 1024)}}"}""";
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(200, answer));
        string id;
        await using (TestService service = await StartAsync(disk, upstream.Address))
        {
            id = await service.Api.SubmitAsync(Requests.File(60));
            await UntilIssueAsync(service, "storage");
        }

        disk.Grow(64 * Megabyte);
        await using TestService again = await StartAsync(disk, upstream.Address);
        JsonElement batch = await again.Api.EndAsync(id);
        Assert.Equal("""{"total":60,"completed":60,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.InRange(upstream.Attempts.Values.Sum() - 60, 0, Concurrency);
    }

    /// <summary>A user who has filled the disk must be able to free space with the API.</summary>
    [SmallDiskFact]
    public async Task A_file_can_be_deleted_from_a_full_disk()
    {
        using var disk = new SmallDisk(4 * Megabyte);
        await using TestService service = await StartAsync(disk, "echo");
        string file = await service.Api.UploadAsync(new byte[Megabyte]);
        Fill(disk);
        using (HttpResponseMessage refused = await service.Api.Http.PostAsync("files", new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new StringContent("{}"), "file", "in.jsonl" },
        }))
        {
            Assert.Equal(HttpStatusCode.InsufficientStorage, refused.StatusCode);
        }

        using HttpResponseMessage response = await service.Api.Http.DeleteAsync($"files/{file}");
        await ApiCaller.ReadAsync(response, 200);
        await service.Api.UploadAsync(Requests.File(1));
    }

    /// <summary>A start without disk space says so, and not that another process uses the folder.</summary>
    [SmallDiskFact]
    public async Task A_start_with_a_full_disk_says_that_it_is_full()
    {
        using var disk = new SmallDisk(4 * Megabyte);
        await (await StartAsync(disk, "echo")).DisposeAsync();
        Fill(disk);
        IOException exception = await Assert.ThrowsAnyAsync<IOException>(() => StartAsync(disk, "echo"));
        Assert.Contains("No space left", exception.Message, StringComparison.Ordinal);
    }

    private static void Fill(SmallDisk disk)
    {
        using var hog = new FileStream(Path.Combine(disk.Folder, "hog"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1);
        try
        {
            while (true)
            {
                hog.Write(new byte[4096]);
            }
        }
        catch (IOException)
        {
        }
    }

    private static Task<TestService> StartAsync(SmallDisk disk, string upstream) => TestService.StartAsync(settings => settings with
    {
        Upstream = upstream,
        DataPath = Path.Combine(disk.Folder, "data"),
        Engine = new EngineSettings { Concurrency = Concurrency, StopGrace = TimeSpan.Zero },
    });

    private static async Task UntilHealthyAsync(TestService service)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            using HttpResponseMessage response = await service.Api.Http.GetAsync("/healthz");
            string health = await response.Content.ReadAsStringAsync();
            if (response.IsSuccessStatusCode && health.Contains("\"troubles\":[]", StringComparison.Ordinal))
            {
                return;
            }

            Assert.False(patience.IsCancellationRequested, health);
            await Task.Delay(10);
        }
    }

    private static async Task<JsonElement> UntilIssueAsync(TestService service, string kind)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            using HttpResponseMessage response = await service.Api.Http.GetAsync("/healthz");
            JsonElement health = await ApiCaller.ReadAsync(response, response.IsSuccessStatusCode ? 200 : 503); // 503 if not even the file of the health check fits.
            if (health.GetProperty("troubles").EnumerateArray().FirstOrDefault(trouble => trouble.GetProperty("kind").GetString() == kind)
                is { ValueKind: JsonValueKind.Object } found)
            {
                return found;
            }

            Assert.False(patience.IsCancellationRequested, $"/healthz reported no issue with {kind}.");
            await Task.Delay(10);
        }
    }
}
