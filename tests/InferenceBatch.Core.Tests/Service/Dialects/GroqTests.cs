using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>Groq: a list that does not say whether there is more, windows of a day to a week, 100 MB.</summary>
public sealed class GroqTests : IDisposable
{
    private readonly LifeCycle _groq = new("Groq");

    public void Dispose() => _groq.Dispose();

    [Fact]
    public async Task A_whole_batch()
    {
        _groq.Server
            .On("POST /v1/files", Answer.Json("""{"id":"file_1","object":"file","bytes":966,"created_at":1730723501,"filename":"in.jsonl","purpose":"batch"}"""))
            .On("POST /v1/batches", Job("validating"))
            .On("GET /v1/batches/batch_1", Job("in_progress"), Job("finalizing"), Job("completed"))
            .On("GET /v1/files/file_out/content", LifeCycle.Content(LifeCycle.Answered("b", "B"), LifeCycle.Answered("a", "A")));
        (Batch batch, Dictionary<string, BatchResult> results) = await _groq.RunAsync();
        Assert.Equal(BatchStatus.Completed, batch.Status);
        Assert.Equal(2, results.Count);
        Assert.All(_groq.Server.Requests, request => Assert.Equal("Bearer " + Clients.Key, request.Header("Authorization")));
        Assert.DoesNotContain("GET /v1/files/file_1", _groq.Server.Asked);
    }

    [Fact]
    public async Task A_list_ends_at_an_empty_page()
    {
        _groq.Server.On("GET /v1/batches", Answer.Choose(exchange => Answer.Json(exchange.Path.Contains("after=b100", StringComparison.Ordinal)
            ? List(101..107) : exchange.Path.Contains("after=", StringComparison.Ordinal) ? List(1..0) : List(1..100))));
        Assert.Equal(Enumerable.Range(1, 107).Select(i => $"b{i}"), (await _groq.Client.ListBatchesAsync().ToListAsync()).Select(batch => batch.Id));
        Assert.Equal(["GET /v1/batches?limit=100", "GET /v1/batches?limit=100&after=b100", "GET /v1/batches?limit=100&after=b107"], _groq.Server.Asked);
    }

    [Fact]
    public async Task A_service_that_ignores_after_does_not_cause_an_endless_list()
    {
        _groq.Server.On("GET /v1/batches", Answer.Json(List(1..100)));
        Assert.Equal(100, (await _groq.Client.ListBatchesAsync().ToListAsync()).Count);
        Assert.Equal(2, _groq.Server.Requests.Count);
    }

    [Fact]
    public async Task Cancelling()
    {
        _groq.Server.On("POST /v1/batches/batch_1/cancel", Job("cancelling"));
        Assert.Equal(BatchStatus.Cancelling, (await _groq.Client.CancelBatchAsync("batch_1")).Status);
    }

    [Fact]
    public void The_limits_are_those_of_Groq()
    {
        ValidationRules rules = _groq.Profile.RulesFor();
        Assert.Equal((50_000, 100L * 1024 * 1024), (rules.MaxRequests, rules.MaxBytes));
        Assert.Equal(["24h", "7d"], _groq.Profile.CompletionWindows);
    }

    [Fact]
    public async Task An_unlisted_window_is_sent_unchanged()
    {
        _groq.Server.On("POST /v1/batches", Job("validating"));
        await _groq.Client.CreateBatchAsync(new NewBatch { InputFileId = "file_1", Endpoint = LifeCycle.Chat, CompletionWindow = "3d" });
        Assert.Contains("\"completion_window\":\"3d\"", _groq.Request("POST /v1/batches").BodyText, StringComparison.Ordinal);
    }

    private static string List(Range ids) =>
        $$"""{"object":"list","data":[{{string.Join(',', Enumerable.Range(ids.Start.Value, ids.End.Value - ids.Start.Value + 1).Select(i => $$"""{"id":"b{{i}}","status":"completed"}"""))}}]}""";

    private static Behaviour Job(string status) => Answer.Json(
        "{\"id\":\"batch_1\",\"object\":\"batch\",\"endpoint\":\"/v1/chat/completions\",\"errors\":null,\"input_file_id\":\"file_1\",\"completion_window\":\"24h\","
        + "\"status\":\"" + status + "\",\"output_file_id\":" + (status == "completed" ? "\"file_out\"" : "null")
        + ",\"error_file_id\":null,\"created_at\":1730723501,\"expires_at\":1730809901,\"request_counts\":{\"total\":2,\"completed\":0,\"failed\":0},\"metadata\":null}");
}
