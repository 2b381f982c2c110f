using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>Novita: PROGRESS for in_progress, times as strings, <c>errors</c> a string, "" for no file, a window of 48 hours, one model per file.</summary>
public sealed class NovitaTests : IDisposable
{
    private readonly LifeCycle _novita = new("Novita", """{"custom_id":"a","body":{"model":"m","messages":[{"role":"user"}]}}""", LifeCycle.Line("b"));

    public void Dispose() => _novita.Dispose();

    [Fact]
    public async Task A_whole_batch()
    {
        _novita.Server
            .On("POST /v1/files", Answer.Json("""{"id":"f1","object":"file","bytes":123,"created_at":1747000000,"filename":"in.jsonl","purpose":"batch","metadata":{"total_requests":2}}"""))
            .On("POST /v1/batches", Job("VALIDATING"))
            .On("GET /v1/batches/b1", Job("VALIDATING"), Job("PROGRESS"), Job("COMPLETED"))
            .On("GET /v1/files/out/content", LifeCycle.Content(LifeCycle.Answered("a", "A")))
            .On("GET /v1/files/err/content", LifeCycle.Content(
                """{"id":"x","custom_id":"b","response":{"status_code":400,"body":{"code":400,"reason":"INVALID","message":"no such model"}},"error":null}""" + "\n"));
        (Batch batch, Dictionary<string, BatchResult> results) = await _novita.RunAsync();
        Assert.Equal([BatchStatus.Validating, BatchStatus.InProgress, BatchStatus.Completed], _novita.Seen.Select(seen => seen.Status));
        Assert.Equal("PROGRESS", _novita.Seen[1].RawStatus);
        Assert.Null(_novita.Seen[1].OutputFileId);
        Assert.Equal(new DateTimeOffset(2025, 5, 11, 21, 46, 40, TimeSpan.Zero), batch.CreatedAt);
        Assert.Empty(batch.Errors);
        Assert.Equal(ResultStatus.Succeeded, results["a"].Status);
        Assert.Equal((ResultStatus.Failed, 400), (results["b"].Status, results["b"].StatusCode));
        Assert.Contains("\"completion_window\":\"48h\"", _novita.Request("POST /v1/batches").BodyText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_reason_of_a_failure_is_a_string()
    {
        _novita.Server.On("GET /v1/batches/b1", Job("FAILED", "input file is not valid jsonl"));
        Assert.Equal("input file is not valid jsonl", Assert.Single((await _novita.Client.GetBatchAsync("b1")).Errors).Message);
    }

    [Fact]
    public async Task List_and_cancel()
    {
        _novita.Server
            .On("GET /v1/batches", Answer.Json("""{"data":[{"id":"b1","status":"PROGRESS"}],"first_id":"b1","has_more":false,"last_id":"b1","object":"list"}"""))
            .On("POST /v1/batches/b1/cancel", Job("CANCELLING"));
        Batch batch = Assert.Single(await _novita.Client.ListBatchesAsync().ToListAsync());
        Assert.Equal(BatchStatus.Cancelling, (await _novita.Client.CancelBatchAsync(batch.Id)).Status);
    }

    private static Behaviour Job(string status, string errors = "") => Answer.Json(
        "{\"id\":\"b1\",\"object\":\"batch\",\"endpoint\":\"/v1/chat/completions\",\"input_file_id\":\"f1\",\"output_file_id\":\""
        + (status == "COMPLETED" ? "out" : "") + "\",\"error_file_id\":\"" + (status == "COMPLETED" ? "err" : "")
        + "\",\"completion_window\":\"48h\",\"in_progress_at\":null,\"expires_at\":\"2025-05-13T21:46:40Z\",\"status\":\"" + status + "\",\"errors\":\"" + errors
        + "\",\"version\":1,\"created_at\":\"2025-05-11T21:46:40Z\",\"total\":2,\"completed\":0,\"failed\":0,\"request_counts\":{\"total\":2,\"completed\":0,\"failed\":0}}");
}
