using System.Globalization;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>
/// Together: POST /files/upload with <c>file_name</c>, a batch wrapped in <c>job</c> by the create and bare elsewhere,
/// statuses in capitals, ISO dates, a percentage, a bare array for a list, <c>error</c> a string.
/// </summary>
public sealed class TogetherTests : IDisposable
{
    private const string Id = "01234567-8901-2345-6789-012345678901";

    private readonly LifeCycle _together = new("Together");

    public void Dispose() => _together.Dispose();

    [Fact]
    public async Task A_whole_batch()
    {
        _together.Server
            .On("POST /v1/files/upload", Answer.Json(
                """{"id":"file-1","object":"file","created_at":1715021438,"filename":"in.jsonl","bytes":2664,"purpose":"batch-api","Processed":true,"FileType":"jsonl"}"""))
            .On("POST /v1/batches", Answer.Json("{\"job\":" + Job("VALIDATING", 0) + ",\"warning\":\"\"}", 201))
            .On("GET /v1/batches/" + Id, Answer.Json(Job("VALIDATING", 0)), Answer.Json(Job("IN_PROGRESS", 75)), Answer.Json(Job("COMPLETED", 100)))
            .On("GET /v1/files/file-out/content", LifeCycle.Content(LifeCycle.Answered("a", "A")))
            .On("GET /v1/files/file-err/content", LifeCycle.Content(
                """{"custom_id":"b","error":{"message":"bad model","type":"invalid_request_error"}}""" + "\n"));
        (Batch batch, Dictionary<string, BatchResult> results) = await _together.RunAsync();
        Assert.Equal(["batch-api", "in.jsonl", "jsonl"], new[] { "purpose", "file_name", "file_type" }.Select(_together.Field));
        Assert.Equal([BatchStatus.Validating, BatchStatus.InProgress, BatchStatus.Completed], _together.Seen.Select(seen => seen.Status));
        Assert.Equal([0, 75, 100], _together.Seen.Select(seen => seen.RequestCounts.Percent));
        Assert.Equal(DateTimeOffset.Parse("2024-01-15T14:30:00Z", CultureInfo.InvariantCulture), batch.CreatedAt);
        Assert.Equal(DateTimeOffset.Parse("2024-01-16T14:30:00Z", CultureInfo.InvariantCulture), batch.ExpiresAt);
        Assert.Equal("file-in", batch.InputFileId);
        Assert.Equal((ResultStatus.Succeeded, "A"), (results["a"].Status, results["a"].Text));
        Assert.Equal((ResultStatus.Failed, "bad model"), (results["b"].Status, results["b"].Error?.Message));
    }

    [Fact]
    public async Task Cancelling()
    {
        _together.Server.On($"POST /v1/batches/{Id}/cancel", Answer.Json(Job("CANCELING", 10)), Answer.Json(Job("CANCELLED", 10)));
        Assert.Equal(BatchStatus.Cancelling, (await _together.Client.CancelBatchAsync(Id)).Status);
        Assert.Equal(BatchStatus.Cancelled, (await _together.Client.CancelBatchAsync(Id)).Status);
    }

    [Fact]
    public async Task A_list_is_a_bare_array_that_has_no_pages()
    {
        string all = $"[{string.Join(',', Enumerable.Range(1, 150).Select(i => $$"""{"id":"b{{i}}","status":"COMPLETED"}"""))}]";
        _together.Server.On("GET /v1/batches", Answer.Json(all));
        Assert.Equal(150, (await _together.Client.ListBatchesAsync().ToListAsync()).Count);
    }

    [Fact]
    public async Task The_reason_of_a_failure_is_a_string()
    {
        _together.Server.On("GET /v1/batches/" + Id, Answer.Json(Job("FAILED", 0).Replace("\"error\":\"\"", "\"error\":\"line 3: no such model\"", StringComparison.Ordinal)));
        Batch batch = await _together.Client.GetBatchAsync(Id);
        Assert.Equal(BatchStatus.Failed, batch.Status);
        Assert.Equal("line 3: no such model", Assert.Single(batch.Errors).Message);
    }

    [Fact]
    public void Lines_need_neither_method_nor_url()
    {
        using var lean = new LifeCycle("Together", """{"custom_id":"a","body":{"model":"m","messages":[{"role":"user"}]}}""");
        Assert.True(lean.Check().IsValid);
        using var elsewhere = new LifeCycle("OpenAI", """{"custom_id":"a","body":{"model":"m","messages":[{"role":"user"}]}}""");
        Assert.Equal(["method", "url"], elsewhere.Check().Issues.Select(issue => issue.Param).Order());
    }

    private static string Job(string status, int progress) =>
        "{\"id\":\"" + Id + "\",\"user_id\":\"user_1\",\"input_file_id\":\"file-in\",\"file_size_bytes\":1048576,\"status\":\"" + status
        + "\",\"job_deadline\":\"2024-01-16T14:30:00Z\",\"created_at\":\"2024-01-15T14:30:00Z\",\"endpoint\":\"/v1/chat/completions\",\"progress\":"
        + progress + ".0,\"model_id\":\"m\",\"error\":\"\"" + (status == "COMPLETED"
            ? ",\"output_file_id\":\"file-out\",\"error_file_id\":\"file-err\",\"completed_at\":\"2024-01-15T15:45:30Z\"}" : "}");
}
