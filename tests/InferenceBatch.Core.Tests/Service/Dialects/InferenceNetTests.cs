using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>
/// Inference.net as recorded in mid-2025, at its two addresses: IDs that start with <c>-</c>, milliseconds, responses with few
/// fields, the same ID on all lines, no <c>error</c> on successful lines, 500 for an unknown batch.
/// </summary>
public sealed class InferenceNetTests : IDisposable
{
    private const string Api = "api.inference.net";
    private const string BatchHost = "batch.inference.net";
    private const string Id = "-4fT_x9Qm2LrWz0aYbK-7";
    private const string File = "_9aXk2-LmQ0rTz4WyBc81";

    private readonly FaultServer _batchServer = new();
    private readonly HostMap _hosts = new();
    private readonly List<string> _warnings = [];
    private readonly HttpMessageInvoker _http;
    private readonly LifeCycle _life;

    public InferenceNetTests()
    {
        _http = new HttpMessageInvoker(_hosts);
        var time = new FakeTime();
        ServiceConnection connection = new ConnectionResolver(name => name == ConnectionResolver.KeyVariable ? Clients.Key : null).Resolve(null, null, null, null);
        _life = new LifeCycle("InferenceNet") { Client = new BatchClient(connection, time, _warnings.Add, _http) };
        _hosts.To(Api, _life.Server).To(BatchHost, _batchServer);
    }

    public void Dispose()
    {
        _http.Dispose();
        _life.Dispose();
        _batchServer.Dispose();
    }

    [Fact]
    public async Task A_whole_batch()
    {
        Script(_life.Server);
        (Batch batch, Dictionary<string, BatchResult> results) = await _life.RunAsync();
        AssertLife(batch, results);
        Assert.All(_hosts.Asked, host => Assert.Equal(Api, host));
        Assert.Empty(_warnings);
    }

    [Fact]
    public async Task The_alternate_address_is_used_if_the_first_has_no_batches()
    {
        Script(_batchServer);
        (Batch batch, Dictionary<string, BatchResult> results) = await _life.RunAsync();
        AssertLife(batch, results);
        Assert.Equal([Api, BatchHost], _hosts.Asked[..2]);
        Assert.All(_hosts.Asked[1..], host => Assert.Equal(BatchHost, host));
        Assert.Contains("https://batch.inference.net/v1", Assert.Single(_warnings), StringComparison.Ordinal);
        Assert.All(_batchServer.Requests, request => Assert.Equal("Bearer " + Clients.Key, request.Header("Authorization")));
        Assert.All(_batchServer.Requests, request => Assert.Equal(BatchHost, request.Header("Host")));
    }

    [Fact]
    public async Task A_completed_batch_may_have_only_failures_and_an_empty_output_file()
    {
        _life.Server
            .On("GET /v1/batches/" + Id, Job("completed", "out", "err"))
            .On("GET /v1/files/out/content", LifeCycle.Content())
            .On("GET /v1/files/err/content", LifeCycle.Content(Failed("a"), Failed("b")));
        Batch batch = await _life.Client.GetBatchAsync(Id);
        Assert.Equal(BatchStatus.Completed, batch.Status);
        List<BatchResult> results = await _life.ResultsAsync(batch);
        Assert.Equal(["a", "b"], results.Select(result => result.CustomId));
        Assert.All(results, result => Assert.Equal(
            (ResultStatus.Failed, "inference_failed", "Maximum retries reached"), (result.Status, result.Error?.Code, result.Error?.Message)));
        Assert.All(results, result => Assert.True(RunRetryRules.IsWorthRetrying(result)));
    }

    [Fact]
    public async Task A_500_for_an_unknown_ID_is_BatchNotFound()
    {
        _life.Server.On("GET /v1/batches/nobody", Answer.Json("""{"error":"Failed to retrieve batch"}""", 500));
        ServiceException exception = await Clients.FailsAsync(_life.Client.GetBatchAsync("nobody"));
        Assert.Equal(ServiceErrorKind.BatchNotFound, exception.Kind);
        Assert.Contains("Failed to retrieve batch", exception.Message, StringComparison.Ordinal);
        Assert.Equal(5, _life.Server.Requests.Count);
    }

    [Fact]
    public async Task A_500_for_a_visible_batch_is_temporary()
    {
        _life.Server.On("GET /v1/batches/" + Id, Answer.Json("""{"error":"Failed to retrieve batch"}""", 500), Job("completed", "out", null));
        Assert.Equal(BatchStatus.Completed, (await _life.Client.GetBatchAsync(Id)).Status);
    }

    [Fact]
    public async Task A_rate_limit_is_waited_for()
    {
        _life.Server.On(
            "POST /v1/files",
            Answer.Json("""{"error":{"message":"Rate limit exceeded","type":"InferenceRateLimitError"}}""", 429, "retry-after: 60"),
            Answer.Json($$"""{"id":"{{File}}","created_at":1751000000000}"""));
        Assert.Equal(File, (await _life.UploadAsync()).Id);
    }

    [Fact]
    public async Task The_error_names_the_rate_limit()
    {
        _life.Server.On("POST /v1/files", Answer.Json("""{"error":{"message":"Rate limit exceeded","type":"InferenceRateLimitError"}}""", 429));
        ServiceException exception = await Clients.FailsAsync(_life.UploadAsync());
        Assert.Equal((ServiceErrorKind.RateLimited, "InferenceRateLimitError"), (exception.Kind, exception.Error?.Code));
    }

    [Fact]
    public async Task A_route_that_neither_address_has_is_NotSupported()
    {
        ServiceException exception = await Clients.FailsAsync(_life.Client.GetFileAsync(File));
        Assert.Equal(ServiceErrorKind.NotSupportedByService, exception.Kind);
        Assert.Equal([Api, BatchHost], _hosts.Asked);
    }

    [Theory]
    [InlineData(404)]
    [InlineData(405)]
    [InlineData(501)]
    public async Task A_missing_cancel_route_is_NotSupported(int status)
    {
        _life.Server.On($"POST /v1/batches/{Id}/cancel", Answer.Html(status));
        _batchServer.On($"POST /v1/batches/{Id}/cancel", Answer.Html(status));
        Assert.Equal(ServiceErrorKind.NotSupportedByService, (await Clients.FailsAsync(_life.Client.CancelBatchAsync(Id))).Kind);
    }

    [Fact]
    public async Task Cancel_and_list_work()
    {
        _life.Server
            .On($"POST /v1/batches/{Id}/cancel", Job("cancelling", null, null))
            .On("GET /v1/batches", Answer.Json($$"""{"object":"list","data":[{"id":"{{Id}}","status":"cancelled","created_at":1751000000000}]}"""));
        Assert.Equal(BatchStatus.Cancelling, (await _life.Client.CancelBatchAsync(Id)).Status);
        Assert.Equal(BatchStatus.Cancelled, Assert.Single(await _life.Client.ListBatchesAsync().ToListAsync()).Status);
    }

    [Fact]
    public async Task A_refused_file_name_has_the_message_of_the_service()
    {
        _life.Server.On("POST /v1/files", Answer.Json("""{"error":{"message":"File type not allowed. Allowed extensions: .jsonl","type":"BadRequestError"}}""", 400));
        ServiceException exception = await Clients.FailsAsync(_life.UploadAsync());
        Assert.Equal(ServiceErrorKind.ServiceRejected, exception.Kind);
        Assert.Contains("Allowed extensions: .jsonl", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Uploads_are_a_minute_apart() => Assert.Equal(TimeSpan.FromMinutes(1), _life.Profile.UploadInterval);

    private static void Script(FaultServer server) => server
        .On("POST /v1/files", Answer.Json($$"""{"id":"{{File}}","created_at":1751000000123}"""))
        .On("POST /v1/batches", Job("in_progress", null, null))
        .On("GET /v1/batches/" + Id, Job("in_progress", null, null), Job("completed", "-out", "-err"))
        .On("GET /v1/files/-out/content", LifeCycle.Content(Good("a")))
        .On("GET /v1/files/-err/content", LifeCycle.Content(Failed("b")));

    private static void AssertLife(Batch batch, Dictionary<string, BatchResult> results)
    {
        Assert.Equal((Id, File, BatchStatus.Completed), (batch.Id, batch.InputFileId, batch.Status));
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1751000000123), batch.CreatedAt);
        Assert.Equal((ResultStatus.Succeeded, "yes"), (results["a"].Status, results["a"].Text));
        Assert.Null(results["a"].Error);
        Assert.Equal((ResultStatus.Failed, "inference_failed"), (results["b"].Status, results["b"].Error?.Code));
    }

    private static Behaviour Job(string status, string? output, string? errors) => Answer.Json(
        "{\"id\":\"" + Id + "\",\"object\":\"batch\",\"endpoint\":\"/v1/chat/completions\",\"errors\":null,\"input_file_id\":\"" + File
        + "\",\"completion_window\":\"24h\",\"status\":\"" + status + "\",\"output_file_id\":" + Quoted(output) + ",\"error_file_id\":" + Quoted(errors)
        + ",\"created_at\":1751000000123,\"in_progress_at\":1751000000456,\"expires_at\":1751086400123,\"request_counts\":{\"total\":2,\"completed\":1,\"failed\":1}}");

    /// <summary>The batch ID on every line, and no <c>error</c>.</summary>
    private static string Good(string id) =>
        "{\"id\":\"" + Id + "\",\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"request_id\":\"r\",\"body\":"
        + "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"yes\"}}]}}}\n";

    private static string Failed(string id) =>
        "{\"id\":\"" + Id + "\",\"custom_id\":\"" + id + "\",\"response\":null,\"error\":{\"code\":\"inference_failed\",\"message\":\"Maximum retries reached\"}}\n";

    private static string Quoted(string? text) => text is null ? "null" : $"\"{text}\"";
}
