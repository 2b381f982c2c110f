using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>
/// Inference.net as it was recorded in mid-2025, at its own two addresses: ids that begin with <c>-</c>, milliseconds,
/// answers with the barest of fields, one id on all lines, no <c>error</c> on good ones, 500 for an unknown batch.
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
    public async Task A_whole_life()
    {
        Script(_life.Server);
        (Batch batch, Dictionary<string, BatchResult> results) = await _life.RunAsync();
        AssertLife(batch, results);
        Assert.All(_hosts.Asked, host => Assert.Equal(Api, host));
        Assert.Empty(_warnings);
    }

    [Fact]
    public async Task At_the_other_address_when_the_first_knows_no_batches()
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
    public async Task Completed_although_all_failed_with_an_empty_output_file()
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
    public async Task An_unknown_id_gets_500_and_is_told_as_one_that_is_not_there()
    {
        _life.Server.On("GET /v1/batches/nobody", Answer.Json("""{"error":"Failed to retrieve batch"}""", 500));
        ServiceException exception = await Clients.FailsAsync(_life.Client.GetBatchAsync("nobody"));
        Assert.Equal(ServiceErrorKind.BatchNotFound, exception.Kind);
        Assert.Contains("Failed to retrieve batch", exception.Message, StringComparison.Ordinal);
        Assert.Equal(5, _life.Server.Requests.Count);
    }

    [Fact]
    public async Task A_500_on_a_batch_that_was_seen_is_only_trouble()
    {
        _life.Server.On("GET /v1/batches/" + Id, Answer.Json("""{"error":"Failed to retrieve batch"}""", 500), Job("completed", "out", null));
        Assert.Equal(BatchStatus.Completed, (await _life.Client.GetBatchAsync(Id)).Status);
    }

    [Fact]
    public async Task The_rate_limit_is_waited_out()
    {
        _life.Server.On(
            "POST /v1/files",
            Answer.Json("""{"error":{"message":"Rate limit exceeded","type":"InferenceRateLimitError"}}""", 429, "retry-after: 60"),
            Answer.Json($$"""{"id":"{{File}}","created_at":1751000000000}"""));
        Assert.Equal(File, (await _life.UploadAsync()).Id);
    }

    [Fact]
    public async Task The_rate_limits_name_is_in_the_error()
    {
        _life.Server.On("POST /v1/files", Answer.Json("""{"error":{"message":"Rate limit exceeded","type":"InferenceRateLimitError"}}""", 429));
        ServiceException exception = await Clients.FailsAsync(_life.UploadAsync());
        Assert.Equal((ServiceErrorKind.RateLimited, "InferenceRateLimitError"), (exception.Kind, exception.Error?.Code));
    }

    [Fact]
    public async Task A_route_that_neither_address_has_is_told_as_missing()
    {
        ServiceException exception = await Clients.FailsAsync(_life.Client.GetFileAsync(File));
        Assert.Equal(ServiceErrorKind.NotSupportedByService, exception.Kind);
        Assert.Equal([Api, BatchHost], _hosts.Asked);
    }

    [Theory]
    [InlineData(404)]
    [InlineData(405)]
    [InlineData(501)]
    public async Task A_cancel_it_does_not_have_is_told_as_missing(int status)
    {
        _life.Server.On($"POST /v1/batches/{Id}/cancel", Answer.Html(status));
        _batchServer.On($"POST /v1/batches/{Id}/cancel", Answer.Html(status));
        Assert.Equal(ServiceErrorKind.NotSupportedByService, (await Clients.FailsAsync(_life.Client.CancelBatchAsync(Id))).Kind);
    }

    [Fact]
    public async Task A_cancel_it_has_and_a_list()
    {
        _life.Server
            .On($"POST /v1/batches/{Id}/cancel", Job("cancelling", null, null))
            .On("GET /v1/batches", Answer.Json($$"""{"object":"list","data":[{"id":"{{Id}}","status":"cancelled","created_at":1751000000000}]}"""));
        Assert.Equal(BatchStatus.Cancelling, (await _life.Client.CancelBatchAsync(Id)).Status);
        Assert.Equal(BatchStatus.Cancelled, Assert.Single(await _life.Client.ListBatchesAsync().ToListAsync()).Status);
    }

    [Fact]
    public async Task A_file_name_of_another_kind_is_refused_in_its_words()
    {
        _life.Server.On("POST /v1/files", Answer.Json("""{"error":{"message":"File type not allowed. Allowed extensions: .jsonl","type":"BadRequestError"}}""", 400));
        ServiceException exception = await Clients.FailsAsync(_life.UploadAsync());
        Assert.Equal(ServiceErrorKind.ServiceRejected, exception.Kind);
        Assert.Contains("Allowed extensions: .jsonl", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Its_uploads_are_a_minute_apart() => Assert.Equal(TimeSpan.FromMinutes(1), _life.Profile.UploadInterval);

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

    /// <summary>The batch's id on every line, and no <c>error</c>.</summary>
    private static string Good(string id) =>
        "{\"id\":\"" + Id + "\",\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"request_id\":\"r\",\"body\":"
        + "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"yes\"}}]}}}\n";

    private static string Failed(string id) =>
        "{\"id\":\"" + Id + "\",\"custom_id\":\"" + id + "\",\"response\":null,\"error\":{\"code\":\"inference_failed\",\"message\":\"Maximum retries reached\"}}\n";

    private static string Quoted(string? text) => text is null ? "null" : $"\"{text}\"";
}
