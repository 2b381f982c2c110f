using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>
/// Azure OpenAI: the key in <c>api-key</c>, a file that must be <c>processed</c> first, line URLs without a version, no
/// byte order mark, an empty error file for a job without errors.
/// </summary>
public sealed class AzureOpenAITests : IDisposable
{
    private const string Endpoint = "/chat/completions";

    private readonly LifeCycle _azure = new("AzureOpenAI", LifeCycle.Line("a", Endpoint), LifeCycle.Line("b", Endpoint));

    public void Dispose() => _azure.Dispose();

    [Fact]
    public async Task A_whole_batch()
    {
        _azure.Server
            .On("POST /v1/files", File("pending", 201))
            .On("GET /v1/files/file-1", File("pending"), File("running"), File("processed"))
            .On("POST /v1/batches", Job("validating"))
            .On("GET /v1/batches/batch_1", Job("validating"), Job("in_progress"), Job("finalizing"), Job("completed"))
            .On("GET /v1/files/file-out/content", LifeCycle.Content(LifeCycle.Answered("b", "B"), LifeCycle.Answered("a", "A")))
            .On("GET /v1/files/file-err/content", LifeCycle.Content());
        (Batch batch, Dictionary<string, BatchResult> results) = await _azure.RunAsync(Endpoint);
        Assert.Equal(BatchStatus.Completed, batch.Status);
        Assert.Equal([("a", "A"), ("b", "B")], results.Values.Select(result => (result.CustomId, result.Text!)).Order());
        Assert.All(_azure.Server.Requests, request => Assert.Equal(Clients.Key, request.Header("api-key")));
        Assert.All(_azure.Server.Requests, request => Assert.Null(request.Header("Authorization")));
        Assert.Equal(
            ["POST /v1/files", "GET /v1/files/file-1", "GET /v1/files/file-1", "GET /v1/files/file-1", "POST /v1/batches"], _azure.Server.Asked.Take(5));
        Assert.Contains($"\"endpoint\":\"{Endpoint}\"", _azure.Request("POST /v1/batches").BodyText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_and_cancel_work_like_OpenAI()
    {
        _azure.Server
            .On("GET /v1/batches", Answer.Json("""{"data":[{"id":"batch_1","status":"in_progress"}],"first_id":"batch_1","last_id":"batch_1","has_more":false}"""))
            .On("POST /v1/batches/batch_1/cancel", Job("cancelling"));
        Batch batch = Assert.Single(await _azure.Client.ListBatchesAsync().ToListAsync());
        Assert.Equal(BatchStatus.Cancelling, (await _azure.Client.CancelBatchAsync(batch.Id)).Status);
    }

    [Fact]
    public async Task The_wait_for_a_file_grows_and_ends()
    {
        _azure.Server.On("GET /v1/files/file-1", File("pending"));
        ServiceException exception = await Clients.FailsAsync(_azure.CreateAsync("file-1", Endpoint));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, exception.Kind);
        Assert.Contains("'pending'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("New-Batch -InputFileId file-1", exception.Message, StringComparison.Ordinal);
        Assert.False(exception.IsAmbiguous);
        Assert.DoesNotContain("POST /v1/batches", _azure.Server.Asked);
        IReadOnlyList<TimeSpan> waits = _azure.Time.Waits;
        Assert.Equal(waits.Order(), waits);
        Assert.Equal((TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)), (waits[0], waits[^1]));
        Assert.InRange(waits.Aggregate((one, other) => one + other), TimeSpan.FromMinutes(14), TimeSpan.FromMinutes(15));
    }

    [Theory]
    [InlineData("error")]
    [InlineData("deleted")]
    public async Task A_file_that_cannot_be_processed_creates_no_batch(string status)
    {
        _azure.Server.On("GET /v1/files/file-1", File("running"), File(status));
        ServiceException exception = await Clients.FailsAsync(_azure.CreateAsync("file-1", Endpoint));
        Assert.Equal(ServiceErrorKind.ServiceRejected, exception.Kind);
        Assert.Contains($"'{status}'", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("POST /v1/batches", _azure.Server.Asked);
    }

    [Theory]
    [InlineData("AzureOpenAI")]
    public void No_other_profile_waits_for_files(string only) =>
        Assert.Equal(only, Assert.Single(ServiceProfile.All, profile => profile.FilesNeedProcessing).Name);

    [Theory]
    [InlineData("AzureOpenAI", IssueSeverity.Error)]
    [InlineData("OpenAI", IssueSeverity.Remark)]
    public void A_byte_order_mark_is_an_error_for_this_profile_only(string provider, IssueSeverity severity)
    {
        using var stream = new MemoryStream([0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(LifeCycle.Line("a"))]);
        LineIssue issue = Assert.Single(new FileValidator(ServiceProfile.Find(provider)!.RulesFor()).Validate(stream, null).Issues);
        Assert.Equal((IssueCodes.ByteOrderMark, severity), (issue.Code, issue.Severity));
    }

    [Theory]
    [InlineData("/chat/completions")]
    [InlineData("/v1/chat/completions")]
    public void Both_forms_of_a_line_url_are_valid(string url)
    {
        using var azure = new LifeCycle("AzureOpenAI", LifeCycle.Line("a", url));
        Assert.Empty(azure.Check().Issues);
        Assert.Equal(url, azure.Check().Endpoint);
    }

    private static Behaviour File(string status, int code = 200) => Answer.Json(
        $$"""{"id":"file-1","object":"file","bytes":815,"created_at":1722476551,"filename":"in.jsonl","purpose":"batch","status":"{{status}}"}""", code);

    private static Behaviour Job(string status)
    {
        string files = status == "completed" ? "\"output_file_id\":\"file-out\",\"error_file_id\":\"file-err\"" : "\"output_file_id\":\"\",\"error_file_id\":\"\"";
        return Answer.Json(
            "{\"id\":\"batch_1\",\"object\":\"batch\",\"status\":\"" + status + "\",\"endpoint\":\"/chat/completions\",\"completion_window\":\"24h\","
            + "\"errors\":null,\"input_file_id\":\"file-1\",\"created_at\":1722477429,\"expires_at\":1722563824," + files
            + ",\"request_counts\":{\"total\":2,\"completed\":" + (status == "completed" ? 2 : 0) + ",\"failed\":0}}");
    }
}
