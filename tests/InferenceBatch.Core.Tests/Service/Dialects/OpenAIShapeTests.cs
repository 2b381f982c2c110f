using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>The services with OpenAI's own dialect, with the limits, endpoints and windows of their documentation.</summary>
public sealed class OpenAIShapeTests
{
    private const long MB = 1024 * 1024;

    [Theory]
    [InlineData("Generic", LifeCycle.Chat)]
    [InlineData("OpenAI", LifeCycle.Chat)]
    [InlineData("OpenAI", "/v1/responses")]
    [InlineData("DeepInfra", LifeCycle.Chat)]
    [InlineData("Nebius", "/v1/embeddings")]
    [InlineData("ModelStudio", "/v1/chat/ds-test")]
    [InlineData("Local", LifeCycle.Chat)]
    public async Task A_whole_batch(string provider, string endpoint)
    {
        using var life = new LifeCycle(provider, LifeCycle.Line("a", endpoint), LifeCycle.Line("b", endpoint), LifeCycle.Line("c", endpoint));
        life.Server
            .On("POST /v1/files", Answer.Json("""{"id":"file-1","object":"file","bytes":120,"created_at":1711471533,"filename":"in.jsonl","purpose":"batch","status":"uploaded"}"""))
            .On("POST /v1/batches", Job("validating", endpoint))
            .On("GET /v1/batches/batch_1", Job("validating", endpoint), Job("in_progress", endpoint), Job("finalizing", endpoint), Job("completed", endpoint))
            .On("GET /v1/batches", Answer.Json("""{"object":"list","data":[{"id":"batch_1","status":"completed"}],"first_id":"batch_1","last_id":"batch_1","has_more":false}"""))
            .On("POST /v1/batches/batch_1/cancel", Answer.Json("""{"error":{"message":"Cannot cancel a batch with status 'completed'.","type":"invalid_request_error","param":null,"code":null}}""", 409))
            .On("GET /v1/files/file-out/content", LifeCycle.Content(LifeCycle.Answered("c", "C"), LifeCycle.Answered("a", "A")))
            .On("GET /v1/files/file-err/content", LifeCycle.Content(
                """{"id":"batch_req_2","custom_id":"b","response":{"status_code":400,"request_id":"r","body":{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}},"error":null}""" + "\n"));
        (Batch batch, Dictionary<string, BatchResult> results) = await life.RunAsync(endpoint);
        Assert.Equal(BatchStatus.Completed, batch.Status);
        Assert.Equal(endpoint, batch.Endpoint);
        Assert.Equal((ResultStatus.Failed, "context_length_exceeded"), (results["b"].Status, results["b"].Error?.Code));
        Assert.Equal(("A", "C"), (results["a"].Text, results["c"].Text));
        Assert.Contains($"\"endpoint\":\"{endpoint}\"", life.Request("POST /v1/batches").BodyText, StringComparison.Ordinal);
        Assert.DoesNotContain("GET /v1/files/file-1", life.Server.Asked);
        Assert.Equal("batch", life.Field("purpose"));
        Assert.Null(life.Field("file_name"));
        Assert.Single(await life.Client.ListBatchesAsync().ToListAsync());
        Assert.Equal(ServiceErrorKind.BatchNotCancellable, (await Clients.FailsAsync(life.Client.CancelBatchAsync(batch.Id))).Kind);
    }

    [Theory]
    [InlineData("Generic", 50_000, 200 * MB, false, "24h")]
    [InlineData("InferenceNet", 50_000, 200 * MB, false, "24h")]
    [InlineData("OpenAI", 50_000, 200 * MB, true, "24h")]
    [InlineData("AzureOpenAI", 100_000, 200 * MB, true, "24h")]
    [InlineData("Groq", 50_000, 100 * MB, false, "24h 7d")]
    [InlineData("Together", 50_000, 200 * MB, false, "24h")]
    [InlineData("DeepInfra", 50_000, 200 * MB, true, "24h")]
    [InlineData("Doubleword", 50_000, 200 * MB, false, "24h 1h")]
    [InlineData("Nebius", 5_000_000, 10_240 * MB, true, "24h")]
    [InlineData("Novita", 50_000, 200 * MB, true, "48h")]
    [InlineData("ModelStudio", 50_000, 500 * MB, true, "24h")]
    public void Limits_and_windows(string provider, int requests, long bytes, bool oneModel, string windows)
    {
        ServiceProfile profile = ServiceProfile.Find(provider)!;
        ValidationRules rules = profile.RulesFor();
        Assert.Equal((requests, bytes, oneModel), (rules.MaxRequests, rules.MaxBytes, rules.OneModelOnly));
        Assert.Equal(windows.Split(' '), profile.CompletionWindows);
    }

    [Fact]
    public void Only_ModelStudio_has_the_test_endpoint()
    {
        using var studio = new LifeCycle("ModelStudio", LifeCycle.Line("a", "/v1/chat/ds-test"));
        Assert.True(studio.Check().IsValid);
        using var elsewhere = new LifeCycle("OpenAI", LifeCycle.Line("a", "/v1/chat/ds-test"));
        Assert.Equal(IssueCodes.InvalidUrl, Assert.Single(elsewhere.Check().Issues).Code);
    }

    private static Behaviour Job(string status, string endpoint) => Answer.Json(
        "{\"id\":\"batch_1\",\"object\":\"batch\",\"endpoint\":\"" + endpoint + "\",\"model\":\"m\",\"errors\":null,\"input_file_id\":\"file-1\","
        + "\"completion_window\":\"24h\",\"status\":\"" + status + "\",\"output_file_id\":" + (status == "completed" ? "\"file-out\"" : "null")
        + ",\"error_file_id\":" + (status == "completed" ? "\"file-err\"" : "null")
        + ",\"created_at\":1711471533,\"in_progress_at\":null,\"expires_at\":1711557933,\"request_counts\":{\"total\":3,\"completed\":2,\"failed\":1},\"metadata\":null}");
}
