using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>POST /batches has no idempotency key: after an ambiguous failure, the client looks for the batch before it retries.</summary>
public sealed class CreateBatchTests : IDisposable
{
    private const string Post = "POST /v1/batches";
    private const string List = "GET /v1/batches?limit=100";

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();

    public void Dispose() => _server.Dispose();

    [Theory]
    [InlineData("drop")]
    [InlineData("500")]
    [InlineData("502 HTML")]
    [InlineData("200 HTML")]
    [InlineData("truncated")]
    [InlineData("cut")]
    [InlineData("other shape")]
    public async Task A_created_batch_is_found_and_not_created_twice(string ambiguity)
    {
        _server.On(Post, Ambiguous(ambiguity)).On("GET /v1/batches", Answer.Choose(_ => Answer.Json(Listed(("other", "file-2"), ("made", "file-1")))));
        Assert.Equal("made", (await CreateAsync()).Id);
        Assert.Equal([Post, List], _server.Asked);
    }

    [Theory]
    [InlineData("truncated")]
    [InlineData("cut")]
    [InlineData("other shape")]
    public async Task An_accepted_create_is_not_repeated_if_its_batch_is_not_found(string ambiguity)
    {
        _server.On(Post, Ambiguous(ambiguity), Answer.Json("""{"id":"second"}""")).On("GET /v1/batches", Answer.Choose(_ => Answer.Json(Listed(("other", "file-2")))));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => CreateAsync());
        Assert.Contains("check with Get-Batch whether there is a batch with the input file file-1", exception.Message, StringComparison.Ordinal);
        Assert.Equal([Post, List, List, List, List], _server.Asked);
    }

    [Theory]
    [InlineData("drop")]
    [InlineData("500")]
    [InlineData("502 HTML")]
    [InlineData("200 HTML")]
    public async Task A_batch_that_was_not_created_is_created_again(string ambiguity)
    {
        _server.On(Post, Ambiguous(ambiguity), Answer.Json("""{"id":"second"}"""))
            .On("GET /v1/batches", Answer.Choose(_ => Answer.Json(Listed(("other", "file-2")))));
        Assert.Equal("second", (await CreateAsync()).Id);
        // The lookup takes some seconds, because lists are late, and a gateway times out long before the service does.
        Assert.Equal([Post, List, List, List, List, Post], _server.Asked);
        Assert.InRange(_time.Waits.Sum(wait => wait.TotalSeconds), 15, 60);
    }

    [Fact]
    public async Task An_older_batch_with_the_same_file_does_not_match()
    {
        long yesterday = _time.GetUtcNow().AddDays(-1).ToUnixTimeSeconds();
        _server.On(Post, Answer.Drop, Answer.Json("""{"id":"new"}"""))
            .On("GET /v1/batches", Answer.Json($$"""{"data":[{"id":"old","input_file_id":"file-1","created_at":{{yesterday}}}],"has_more":false}"""));
        Assert.Equal("new", (await CreateAsync()).Id);
    }

    [Fact]
    public async Task A_batch_that_is_listed_late_is_found()
    {
        _server.On(Post, Answer.Empty(504))
            .On("GET /v1/batches", Answer.Json(Listed()), Answer.Json(Listed()), Answer.Json(Listed(("made", "file-1"))));
        Assert.Equal("made", (await CreateAsync()).Id);
        Assert.Equal([Post, List, List, List], _server.Asked);
    }

    [Theory]
    [InlineData(5, false, true)]
    [InlineData(60, false, false)]
    [InlineData(60, true, true)]
    public async Task The_clock_of_the_service_may_be_behind(int minutes, bool isOnlyBatchOfFile, bool isFound)
    {
        long behind = _time.GetUtcNow().AddMinutes(-minutes).ToUnixTimeSeconds();
        _server.On(Post, Answer.Drop, Answer.Json("""{"id":"second"}"""))
            .On("GET /v1/batches", Answer.Json($$"""{"data":[{"id":"made","input_file_id":"file-1","created_at":{{behind}}}],"has_more":false}"""));
        Batch batch = await Clients.For(_server, _time).CreateBatchAsync(
            new NewBatch { InputFileId = "file-1", Endpoint = "/v1/embeddings", IsOnlyBatchOfFile = isOnlyBatchOfFile });
        Assert.Equal(isFound ? "made" : "second", batch.Id);
    }

    [Fact]
    public async Task A_rate_limit_is_not_ambiguous()
    {
        _server.On(Post, Answer.Empty(429, "retry-after-ms: 10"), Answer.Json("""{"id":"new"}"""));
        Assert.Equal("new", (await CreateAsync()).Id);
        Assert.Equal([Post, Post], _server.Asked);
    }

    [Fact]
    public async Task A_failed_connection_is_not_ambiguous()
    {
        Uri address = _server.BaseUri;
        _server.Dispose();
        var client = new BatchClient(new ServiceConnection(address, ServiceProfile.Generic, null), _time);
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => client.CreateBatchAsync(Request));
        Assert.DoesNotContain("whether the batch was created", exception.Message, StringComparison.Ordinal);
        Assert.Equal(4, _time.Waits.Count);
    }

    [Fact]
    public async Task If_the_lookup_fails_too_the_create_is_not_retried_and_the_outcome_is_unknown()
    {
        _server.On(Post, Answer.Drop).On("GET /v1/batches", Answer.Html(502));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => CreateAsync());
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, exception.Kind);
        Assert.Contains("file-1", exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Asked, asked => asked == Post);
    }

    [Fact]
    public async Task X_should_retry_false_is_respected_after_the_lookup()
    {
        _server.On(Post, Answer.Empty(500, "x-should-retry: false")).On("GET /v1/batches", Answer.Json("""{"data":[],"has_more":false}"""));
        await Assert.ThrowsAsync<ServiceException>(() => CreateAsync());
        Assert.Equal([Post, List, List, List, List], _server.Asked);
    }

    [Fact]
    public async Task Invalid_text_is_an_error_of_the_caller_and_not_of_the_network()
    {
        NewBatch request = Request with { Metadata = new Dictionary<string, string> { ["k"] = "half \ud83d" } };
        await Assert.ThrowsAsync<ArgumentException>(() => Clients.For(_server, _time).CreateBatchAsync(request));
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task A_create_is_tried_five_times()
    {
        _server.On(Post, Answer.Html(503)).On("GET /v1/batches", Answer.Json("""{"data":[],"has_more":false}"""));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => CreateAsync());
        Assert.Equal(503, (int?)exception.StatusCode);
        Assert.Equal(5, _server.Asked.Count(asked => asked == Post));
        Assert.Contains("check with Get-Batch whether there is a batch with the input file", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_is_final()
    {
        _server.On(Post, Answer.Json("""{"error":{"message":"Invalid value: '25h'.","code":"invalid_value","param":"completion_window"}}""", 400));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => CreateAsync());
        Assert.Equal(ServiceErrorKind.ServiceRejected, exception.Kind);
        Assert.Equal("completion_window", exception.Error?.Param);
        Assert.Equal([Post], _server.Asked);
    }

    [Theory]
    [InlineData(404, """{"error":{"message":"No such File object: file-1"}}""")]
    [InlineData(400, """{"error":{"code":"file_not_found","message":"No file found with id 'file-1'."}}""")]
    public async Task A_file_that_was_just_uploaded_may_appear_late(int status, string refusal)
    {
        DateTimeOffset began = _time.GetUtcNow();
        _server.On(Post, Answer.Choose(_ => _time.GetUtcNow() - began < TimeSpan.FromMinutes(4) ? Answer.Json(refusal, status) : Answer.Json("""{"id":"made"}""")));
        Assert.Equal("made", (await Clients.For(_server, _time).CreateBatchAsync(Request with { FileSentAt = _time.GetTimestamp() })).Id);
    }

    [Fact]
    public async Task A_file_that_must_be_processed_may_appear_late_too()
    {
        ServiceProfile azure = ServiceProfile.All.First(profile => profile.FilesNeedProcessing);
        _server.On("GET /v1/files/file-1", Answer.Json("""{"error":{"message":"Not found"}}""", 404), Answer.Json("""{"id":"file-1","status":"processed"}"""))
            .On(Post, Answer.Json("""{"id":"made"}"""));
        Assert.Equal("made", (await Clients.For(_server, _time, azure).CreateBatchAsync(Request with { FileSentAt = _time.GetTimestamp() })).Id);
    }

    [Theory]
    [InlineData(false, 0, 0)]
    [InlineData(true, 0, 5)]
    [InlineData(true, 6, 0)]
    public async Task A_file_that_stays_unknown_is_not_found(bool wasSent, int minutesAgo, int minutesWaited)
    {
        _server.On(Post, Answer.Json("""{"error":{"message":"No such File object: file-1"}}""", 404));
        long? sent = wasSent ? _time.GetTimestamp() : null;
        _time.Advance(TimeSpan.FromMinutes(minutesAgo));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).CreateBatchAsync(Request with { FileSentAt = sent }));
        Assert.Equal(ServiceErrorKind.FileNotFound, exception.Kind);
        Assert.Equal(minutesWaited, _time.Waits.Sum(wait => wait.TotalMinutes), 0.1);
    }

    private static NewBatch Request => new() { InputFileId = "file-1", Endpoint = "/v1/chat/completions" };

    private Task<Batch> CreateAsync() => Clients.For(_server, _time).CreateBatchAsync(Request);

    private static Behaviour Ambiguous(string what) => what switch
    {
        "drop" => Answer.Drop,
        "500" => Answer.Json("""{"error":"internal"}""", 500),
        "502 HTML" => Answer.Html(502),
        "200 HTML" => Answer.Html(200),
        "other shape" => Answer.Json("""{"data":{"batch":"made"}}"""),
        "truncated" => Answer.Json("""{"id":"ma"""),
        _ => Answer.CutOff("""{"id":"made"}"""u8.ToArray(), 8, "content-type: application/json"),
    };

    private string Listed(params (string Id, string File)[] batches)
    {
        IEnumerable<string> items = batches.Select(batch =>
            $$"""{"id":"{{batch.Id}}","input_file_id":"{{batch.File}}","created_at":{{_time.GetUtcNow().ToUnixTimeSeconds()}}}""");
        return $$"""{"object":"list","data":[{{string.Join(',', items)}}],"has_more":false}""";
    }
}
