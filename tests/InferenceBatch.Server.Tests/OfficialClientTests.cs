using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using OpenAI;
using OpenAI.Batch;
using OpenAI.Files;

#pragma warning disable OPENAI001 // The package's batch client is marked as experimental.

namespace InferenceBatch.Server.Tests;

/// <summary>Runs OpenAI's .NET package through the life cycle of files and batches.</summary>
public sealed class OfficialClientTests
{
    [Fact]
    public async Task A_batch_from_upload_to_content()
    {
        await using TestService service = await TestService.StartAsync();
        (OpenAIFileClient files, BatchClient batches) = Clients(service);

        OpenAIFile input = await files.UploadFileAsync(BinaryData.FromString(Requests.File(3)), "in.jsonl", FileUploadPurpose.Batch);
        Assert.Equal("in.jsonl", input.Filename);
        Assert.Equal(FilePurpose.Batch, input.Purpose);

        CreateBatchOperation operation = await batches.CreateBatchAsync(Body(input.Id), waitUntilCompleted: false);
        Assert.StartsWith("batch_", operation.BatchId, StringComparison.Ordinal);
        JsonElement batch = await EndAsync(operation);
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal(3, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.Equal("v", batch.GetProperty("metadata").GetProperty("k").GetString());

        BinaryData content = await files.DownloadFileAsync(batch.GetProperty("output_file_id").GetString());
        var texts = content.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)
            .ToDictionary(
                line => line.GetProperty("custom_id").GetString()!,
                line => line.GetProperty("response").GetProperty("body").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(new Dictionary<string, string?> { ["r-1"] = "prompt 1", ["r-2"] = "prompt 2", ["r-3"] = "prompt 3" }, texts);

        OpenAIFile output = await files.GetFileAsync(batch.GetProperty("output_file_id").GetString());
        Assert.Equal(FilePurpose.BatchOutput, output.Purpose);
        Assert.Equal(2, (await files.GetFilesAsync()).Value.Count);
        Assert.True((await files.DeleteFileAsync(input.Id)).Value.Deleted);
        ClientResultException gone = await Assert.ThrowsAsync<ClientResultException>(async () => await files.GetFileAsync(input.Id));
        Assert.Equal(404, gone.Status);
    }

    [Fact]
    public async Task Lists_are_paged_newest_first()
    {
        await using TestService service = await TestService.StartAsync();
        (OpenAIFileClient files, BatchClient batches) = Clients(service);
        OpenAIFile input = await files.UploadFileAsync(BinaryData.FromString(Requests.File(1)), "in.jsonl", FileUploadPurpose.Batch);
        var created = new List<string>();
        for (int i = 0; i < 5; i++)
        {
            created.Insert(0, (await batches.CreateBatchAsync(Body(input.Id), waitUntilCompleted: false)).BatchId);
        }

        var listed = new List<string>();
        int pages = 0;
        await foreach (ClientResult page in batches.GetBatchesAsync(after: null, limit: 2, options: null).GetRawPagesAsync())
        {
            pages++;
            listed.AddRange(Parse(page).GetProperty("data").EnumerateArray().Select(batch => batch.GetProperty("id").GetString()!));
        }

        Assert.Equal(created, listed);
        Assert.Equal(3, pages);
    }

    [Fact]
    public async Task Cancel_ends_a_running_batch()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            Engine = new EngineSettings { CancelGrace = TimeSpan.Zero },
        });
        (OpenAIFileClient files, BatchClient batches) = Clients(service);
        OpenAIFile input = await files.UploadFileAsync(BinaryData.FromString(Requests.File(3)), "in.jsonl", FileUploadPurpose.Batch);
        CreateBatchOperation operation = await batches.CreateBatchAsync(Body(input.Id), waitUntilCompleted: false);
        await service.Api.UntilAsync(operation.BatchId, batch => batch.GetProperty("status").GetString() == "in_progress");

        JsonElement cancelling = Parse(await operation.CancelAsync(options: null));
        Assert.Contains(cancelling.GetProperty("status").GetString(), new[] { "cancelling", "cancelled" });
        JsonElement ended = await EndAsync(operation);
        Assert.Equal("cancelled", ended.GetProperty("status").GetString());
        ClientResult again = await operation.CancelAsync(options: null);
        Assert.Equal("cancelled", Parse(again).GetProperty("status").GetString());
    }

    [Fact]
    public async Task The_end_of_the_window_expires_the_batch()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 1" ? call.OkAsync() : call.StallAsync());
        var time = new FakeTime { SkipsWaits = false };
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address }, time);
        (OpenAIFileClient files, BatchClient batches) = Clients(service);
        OpenAIFile input = await files.UploadFileAsync(BinaryData.FromString(Requests.File(2)), "in.jsonl", FileUploadPurpose.Batch);
        CreateBatchOperation operation = await batches.CreateBatchAsync(Body(input.Id), waitUntilCompleted: false);
        await service.Api.DoneAsync(operation.BatchId, 1);
        time.Advance(TimeSpan.FromHours(24));
        JsonElement batch = await EndAsync(operation);
        Assert.Equal("expired", batch.GetProperty("status").GetString());
        Assert.Equal(batch.GetProperty("expires_at").GetInt64(), batch.GetProperty("expired_at").GetInt64());
        Assert.Contains("\"r-1\"", (await files.DownloadFileAsync(batch.GetProperty("output_file_id").GetString())).Value.ToString(), StringComparison.Ordinal);
        Assert.Contains("batch_expired", (await files.DownloadFileAsync(batch.GetProperty("error_file_id").GetString())).Value.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_invalid_file_fails_the_batch_with_line_errors()
    {
        await using TestService service = await TestService.StartAsync();
        (OpenAIFileClient files, BatchClient batches) = Clients(service);
        OpenAIFile input = await files.UploadFileAsync(BinaryData.FromString(Requests.File(2) + "no json\n"), "in.jsonl", FileUploadPurpose.Batch);
        JsonElement batch = await EndAsync(await batches.CreateBatchAsync(Body(input.Id), waitUntilCompleted: false));
        Assert.Equal("failed", batch.GetProperty("status").GetString());
        JsonElement error = Assert.Single(batch.GetProperty("errors").GetProperty("data").EnumerateArray());
        Assert.Equal(("invalid_json_line", 3), (error.GetProperty("code").GetString(), error.GetProperty("line").GetInt32()));
    }

    [Fact]
    public async Task Errors_become_exceptions_of_the_client_with_the_message_of_the_service()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["any"] });
        (OpenAIFileClient files, BatchClient batches) = Clients(service);
        OpenAIFile input = await files.UploadFileAsync(BinaryData.FromString(Requests.File(1)), "in.jsonl", FileUploadPurpose.Batch);
        await AssertFailsAsync(400, "input_file_id", () => batches.CreateBatchAsync(Body("file-none"), waitUntilCompleted: false));
        await AssertFailsAsync(400, "endpoint", () => batches.CreateBatchAsync(BinaryContent.Create(BinaryData.FromString("{\"input_file_id\":\"x\"}")), waitUntilCompleted: false));
        await AssertFailsAsync(400, ".jsonl", () => files.UploadFileAsync(BinaryData.FromString("{}"), "in.txt", FileUploadPurpose.Batch));
        await AssertFailsAsync(400, "purpose", () => files.UploadFileAsync(BinaryData.FromString("{}"), "in.jsonl", FileUploadPurpose.Vision));
        await AssertFailsAsync(404, "file-none", () => files.DownloadFileAsync("file-none"));
        await AssertFailsAsync(404, "file-none", () => files.DeleteFileAsync("file-none"));
        await AssertFailsAsync(404, "batch_none", () => batches.GetBatchAsync("batch_none", options: null));
        CreateBatchOperation operation = await batches.CreateBatchAsync(Body(input.Id), waitUntilCompleted: false);
        await EndAsync(operation);
        await AssertFailsAsync(409, "Cannot cancel a batch with status 'completed'.", () => operation.CancelAsync(options: null));
        await AssertFailsAsync(401, "API key", () => Clients(service, "wrong").Files.GetFilesAsync());
    }

    private static async Task AssertFailsAsync(int status, string said, Func<Task> call)
    {
        ClientResultException exception = await Assert.ThrowsAsync<ClientResultException>(call);
        Assert.Equal(status, exception.Status);
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
    }

    private static (OpenAIFileClient Files, BatchClient Batches) Clients(TestService service, string apiKey = "any")
    {
        var key = new ApiKeyCredential(apiKey);
        var endpoint = new Uri(service.Address, "/v1");
        var transport = new HttpClientPipelineTransport(new HttpClient(new DocumentedHandler()));
        return (
            new OpenAIFileClient(key, new OpenAIClientOptions { Endpoint = endpoint, Transport = transport }),
            new BatchClient(key, new BatchClientOptions { Endpoint = endpoint, Transport = transport }));
    }

    private static BinaryContent Body(string fileId) => BinaryContent.Create(BinaryData.FromObjectAsJson(new
    {
        input_file_id = fileId,
        endpoint = "/v1/chat/completions",
        completion_window = "24h",
        metadata = new { k = "v" },
    }));

    private static async Task<JsonElement> EndAsync(CreateBatchOperation operation)
    {
        while (true)
        {
            JsonElement batch = Parse(await operation.GetBatchAsync(options: null));
            if (batch.GetProperty("status").GetString() is "completed" or "failed" or "expired" or "cancelled")
            {
                return batch;
            }

            await Task.Delay(10);
        }
    }

    private static JsonElement Parse(ClientResult result) => JsonDocument.Parse(result.GetRawResponse().Content).RootElement;
}
