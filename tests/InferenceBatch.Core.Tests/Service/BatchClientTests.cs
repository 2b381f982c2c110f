using System.Globalization;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>Method, path, headers and body of each route, and how its responses are read.</summary>
public sealed class BatchClientTests : IDisposable
{
    private const string BatchJson = """{"id":"batch_1","object":"batch","status":"in_progress","input_file_id":"file-1"}""";

    private readonly FaultServer _server = new();

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task GetBatch_requests_the_batch()
    {
        _server.On("GET /v1/batches/batch_1", Answer.Json(BatchJson));
        Batch batch = await Clients.For(_server).GetBatchAsync("batch_1");
        Assert.Equal(("batch_1", BatchStatus.InProgress), (batch.Id, batch.Status));
        Exchange request = Assert.Single(_server.Requests);
        Assert.Equal("Bearer " + Clients.Key, request.Header("Authorization"));
        Assert.StartsWith("InferenceBatch/", request.Header("User-Agent"), StringComparison.Ordinal);
        Assert.Null(request.Header("Content-Length"));
    }

    [Fact]
    public async Task CancelBatch_posts_to_cancel()
    {
        _server.On("POST /v1/batches/batch_1/cancel", Answer.Json("""{"id":"batch_1","status":"cancelling"}"""));
        Assert.Equal(BatchStatus.Cancelling, (await Clients.For(_server).CancelBatchAsync("batch_1")).Status);
        Assert.Empty(Assert.Single(_server.Requests).Body);
    }

    [Fact]
    public async Task CreateBatch_sends_the_documented_fields()
    {
        _server.On("POST /v1/batches", Answer.Json(BatchJson));
        await Clients.For(_server).CreateBatchAsync(new NewBatch
        {
            InputFileId = "file-1",
            Endpoint = "/v1/chat/completions",
            Metadata = new Dictionary<string, string> { ["description"] = "nightly \"😀\"" },
            WebhookUrl = new Uri("https://example.org/hook?a=b"),
            OutputExpiresAfter = 3600,
        });
        Exchange request = Assert.Single(_server.Requests);
        Assert.Equal("application/json", request.Header("Content-Type"));
        Assert.Equal(
            """{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"description":"nightly \"😀\""},"webhook_url":"https://example.org/hook?a=b","output_expires_after":{"anchor":"created_at","seconds":3600}}""",
            request.BodyText);
    }

    [Fact]
    public async Task CreateBatch_omits_fields_that_are_not_set()
    {
        _server.On("POST /v1/batches", Answer.Json("""{"job":{"id":"j","status":"VALIDATING"}}""", 201));
        Batch batch = await Clients.For(_server).CreateBatchAsync(new NewBatch { InputFileId = "f", Endpoint = "/v1/embeddings" });
        Assert.Equal(("j", BatchStatus.Validating), (batch.Id, batch.Status));
        Assert.Equal("""{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"24h"}""", Assert.Single(_server.Requests).BodyText);
    }

    [Fact]
    public async Task Files_are_read_listed_and_deleted()
    {
        _server.On("GET /v1/files/file-1", Answer.Json("""{"id":"file-1","bytes":5}"""))
            .On("DELETE /v1/files/file-1", Answer.Json("""{"id":"file-1","object":"file","deleted":true}"""))
            .On("GET /v1/files", Answer.Json("""{"data":[{"id":"file-1"}],"has_more":false}"""));
        BatchClient client = Clients.For(_server);
        Assert.Equal(5, (await client.GetFileAsync("file-1")).Bytes);
        Assert.Equal("file-1", Assert.Single(await client.ListFilesAsync("batch").ToListAsync()).Id);
        await client.DeleteFileAsync("file-1");
        Assert.Equal(["GET /v1/files/file-1", "GET /v1/files?limit=100&purpose=batch", "DELETE /v1/files/file-1"], _server.Asked);
    }

    [Fact]
    public async Task A_delete_with_an_empty_response_succeeds()
    {
        _server.On("DELETE /v1/files/file-1", Answer.Empty(204));
        await Clients.For(_server).DeleteFileAsync("file-1");
    }

    [Fact]
    public async Task Models_are_listed()
    {
        _server.On("GET /v1/models", Answer.Json("""{"object":"list","data":[{"id":"a"},{"id":"b"},{"object":"model"}]}"""));
        Assert.Equal(["a", "b"], await Clients.For(_server).ListModelsAsync());
    }

    [Theory]
    [InlineData("-K_3", "-K_3")]
    [InlineData("a b/../c?d#e%", "a%20b%2F..%2Fc%3Fd%23e%25")]
    [InlineData("日", "%E6%97%A5")]
    public async Task An_ID_is_one_path_segment_whatever_its_characters(string id, string segment)
    {
        _server.On($"GET /v1/batches/{segment}", Answer.Json(BatchJson));
        await Clients.For(_server).GetBatchAsync(id);
        Assert.Equal([$"GET /v1/batches/{segment}"], _server.Asked);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData(".")]
    [InlineData("..")]
    public async Task An_invalid_ID_is_not_found_without_a_request(string id)
    {
        BatchClient client = Clients.For(_server);
        Assert.Equal(ServiceErrorKind.BatchNotFound, (await Assert.ThrowsAsync<ServiceException>(() => client.GetBatchAsync(id))).Kind);
        Assert.Equal(ServiceErrorKind.BatchNotFound, (await Assert.ThrowsAsync<ServiceException>(() => client.CancelBatchAsync(id))).Kind);
        Assert.Equal(ServiceErrorKind.FileNotFound, (await Assert.ThrowsAsync<ServiceException>(() => client.DeleteFileAsync(id))).Kind);
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task Lists_continue_after_the_last_ID()
    {
        _server.On(
            "GET /v1/batches",
            Answer.Json("""{"object":"list","data":[{"id":"c"},{"id":"b&1"}],"has_more":true}"""),
            Answer.Json("""{"object":"list","data":[{"id":"a"}],"has_more":false}"""));
        Assert.Equal(["c", "b&1", "a"], (await Clients.For(_server).ListBatchesAsync(pageSize: 2).ToListAsync()).Select(batch => batch.Id));
        Assert.Equal(["GET /v1/batches?limit=2", "GET /v1/batches?limit=2&after=b%261"], _server.Asked);
    }

    [Theory]
    [InlineData("""{"data":[{"id":"a"}],"has_more":false}""", 1)]
    [InlineData("""{"data":[{"id":"b"},{"id":"a"}],"has_more":false}""", 2)]
    [InlineData("""{"data":[],"has_more":true}""", 0)]
    [InlineData("""{"data":[]}""", 0)]
    [InlineData("""{"value":[]}""", 0)]
    [InlineData("[]", 0)]
    public async Task The_list_ends_at_a_page_that_is_empty_or_says_that_it_is_the_last(string page, int count)
    {
        _server.On("GET /v1/batches", Answer.Json(page));
        Assert.Equal(count, (await Clients.For(_server).ListBatchesAsync(pageSize: 2).ToListAsync()).Count);
        Assert.Single(_server.Requests);
    }

    [Theory]
    [InlineData("""{"data":[{"id":"a"}]}""")] // Groq: no has_more.
    [InlineData("""[{"id":"a"}]""")] // Together: a bare array.
    [InlineData("""{"data":[{"id":"b"},{"id":"a"}]}""")]
    [InlineData("""{"data":[{"id":"b"},{"id":"a"}],"has_more":true}""")]
    [InlineData("""{"data":[{"id":"b"},{"id":"a"}],"has_more":"true"}""")]
    [InlineData("""{"data":[{"id":"b"},{"id":"a"},{"id":"b"}],"has_more":null}""")]
    [InlineData("""[{"id":"b"},{"id":"a"}]""")]
    public async Task A_repeated_page_ends_the_list(string page)
    {
        _server.On("GET /v1/batches", Answer.Json(page)).On("GET /v1/files", Answer.Json(page));
        string[] expected = page.Contains("\"b\"", StringComparison.Ordinal) ? ["b", "a"] : ["a"];
        Assert.Equal(expected, (await Clients.For(_server).ListBatchesAsync(pageSize: 2).ToListAsync()).Select(batch => batch.Id));
        Assert.Equal(expected, (await Clients.For(_server).ListFilesAsync().ToListAsync()).Select(file => file.Id));
        Assert.Equal(4, _server.Requests.Count);
    }

    /// <summary>Services have maximum page sizes of their own, so a page that is not full is not the last.</summary>
    [Theory]
    [InlineData(2, 5, "")]
    [InlineData(2, 6, "")] // The last page is full, so only an empty one ends the list.
    [InlineData(2, 5, ""","has_more":null""")]
    [InlineData(2, 6, ""","has_more":null""")]
    [InlineData(2, 5, ""","has_more":"true" """)]
    [InlineData(2, 6, ""","has_more":"false" """)]
    [InlineData(1, 3, ""","has_more":1""")]
    [InlineData(100, 200, "")]
    [InlineData(150, 200, "")] // More than requested.
    public async Task Smaller_pages_than_requested_are_read_to_the_end(int served, int count, string hasMore)
    {
        foreach (string route in new[] { "GET /v1/batches", "GET /v1/files" })
        {
            _server.On(route, Answer.Choose(exchange => Answer.Json(
                $$"""{"data":[{{string.Join(',', After(exchange).Take(served).Select(id => $$"""{"id":"{{id}}"}"""))}}]{{hasMore}}}""")));
        }

        Assert.Equal(Enumerable.Range(1, count).Select(i => $"x{i}"), (await Clients.For(_server).ListBatchesAsync().ToListAsync()).Select(batch => batch.Id));
        Assert.Equal(Enumerable.Range(1, count).Select(i => $"x{i}"), (await Clients.For(_server).ListFilesAsync().ToListAsync()).Select(file => file.Id));
        Assert.Equal(2 * ((count + served - 1) / served + 1), _server.Requests.Count);

        IEnumerable<string> After(Exchange exchange) => Enumerable
            .Range(exchange.Path.Split("after=x") is [_, var last] ? int.Parse(last, CultureInfo.InvariantCulture) + 1 : 1, 1_000)
            .TakeWhile(i => i <= count).Select(i => $"x{i}");
    }

    [Theory]
    [InlineData("e d|d c b|b a|")] // Each page begins with the item before.
    [InlineData("e d|c b|e d a|c b")] // A cycle.
    [InlineData("e d|f e d c|f e d b a|")] // New batches push the others down.
    [InlineData("d c b a|e d c b")] // The service ignores `after`, and there is a new batch.
    public async Task Items_of_overlapping_pages_are_returned_once(string pages)
    {
        _server.On("GET /v1/batches", [.. pages.Split('|').Select(page => Answer.Json(
            $$"""{"data":[{{string.Join(',', page.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => $$"""{"id":"{{id}}"}"""))}}],"has_more":true}"""))]);
        string[] ids = [.. (await Clients.For(_server).ListBatchesAsync(pageSize: 2).ToListAsync()).Select(batch => batch.Id)];
        Assert.Equal(pages.Split([' ', '|'], StringSplitOptions.RemoveEmptyEntries).Distinct(), ids);
        Assert.InRange(_server.Requests.Count, 3, 5);
    }

    [Fact]
    public async Task The_list_does_not_contain_the_batch_after_which_it_starts()
    {
        _server.On("GET /v1/batches", Answer.Json("""{"data":[{"id":"c"},{"id":"b"}]}"""), Answer.Json("""{"data":[{"id":"b"}]}"""));
        Assert.Equal(["b"], (await Clients.For(_server).ListBatchesAsync(after: "c", pageSize: 2).ToListAsync()).Select(batch => batch.Id));
    }

    /// <summary>A service that does not know <c>after</c> has no more pages.</summary>
    [Theory]
    [InlineData(400, """{"data":[{"id":"a"}]}""", true)]
    [InlineData(404, """{"data":[{"id":"a"}]}""", true)]
    [InlineData(422, """[{"id":"a"}]""", true)]
    [InlineData(401, """{"data":[{"id":"a"}]}""", false)]
    [InlineData(403, """{"data":[{"id":"a"}]}""", false)]
    [InlineData(500, """{"data":[{"id":"a"}]}""", false)]
    [InlineData(400, """{"data":[{"id":"b"},{"id":"a"}]}""", false)] // A full page.
    [InlineData(400, """{"data":[{"id":"a"}],"has_more":true}""", false)]
    public async Task Refusing_to_continue_ends_a_list_that_may_be_complete(int status, string page, bool isComplete)
    {
        _server.On("GET /v1/batches", Answer.Choose(exchange => exchange.Path.Contains("after=", StringComparison.Ordinal)
            ? Answer.Json("""{"error":{"message":"Unknown parameter: after"}}""", status, "x-should-retry: false") : Answer.Json(page)));
        Task<List<Batch>> listing = Clients.For(_server).ListBatchesAsync(pageSize: 2).ToListAsync();
        if (isComplete)
        {
            Assert.Equal("a", Assert.Single(await listing).Id);
        }
        else
        {
            await Clients.FailsAsync(listing);
        }

        Assert.Equal(2, _server.Requests.Count);
    }

    [Fact]
    public async Task Pages_are_fetched_only_when_they_are_read()
    {
        _server.On("GET /v1/batches", Answer.Json("""{"data":[{"id":"b"},{"id":"a"}],"has_more":true}"""));
        await foreach (Batch batch in Clients.For(_server).ListBatchesAsync(after: "c", pageSize: 2))
        {
            Assert.Equal("b", batch.Id);
            break;
        }

        Assert.Equal(["GET /v1/batches?limit=2&after=c"], _server.Asked);
    }

    [Theory]
    [InlineData(400, """{"error":{"message":"Bad window.","code":"invalid_value"}}""", ServiceErrorKind.ServiceRejected, "Bad window (invalid_value)")]
    [InlineData(401, """{"error":{"message":"Wrong key."}}""", ServiceErrorKind.Unauthorized, "Wrong key.")]
    [InlineData(401, "", ServiceErrorKind.Unauthorized, "401")]
    [InlineData(403, """{"error":"no"}""", ServiceErrorKind.PermissionDenied, "no")]
    [InlineData(404, """{"error":{"message":"No such batch."}}""", ServiceErrorKind.BatchNotFound, "No such batch.")]
    [InlineData(404, "{}", ServiceErrorKind.BatchNotFound, "404")]
    [InlineData(404, "<html>", ServiceErrorKind.NotSupportedByService, "404")]
    [InlineData(405, "", ServiceErrorKind.NotSupportedByService, "405")]
    [InlineData(501, """{"error":"later"}""", ServiceErrorKind.NotSupportedByService, "later")]
    [InlineData(413, "<html>", ServiceErrorKind.ServiceRejected, "413")]
    [InlineData(422, """{"detail":"Field required"}""", ServiceErrorKind.ServiceRejected, "Field required")]
    [InlineData(302, "", ServiceErrorKind.ServiceRejected, "302")]
    public async Task Refusals_are_classified_and_not_retried(int status, string body, ServiceErrorKind kind, string words)
    {
        _server.On("GET /v1/batches/b", Answer.Json(body, status, "x-request-id: req_7"));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server).GetBatchAsync("b"));
        Assert.Equal(kind, exception.Kind);
        Assert.Equal(status, (int?)exception.StatusCode);
        Assert.Equal("req_7", exception.RequestId);
        Assert.Contains(words, exception.Message, StringComparison.Ordinal);
        Assert.Contains("req_7", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Clients.Key, exception.ToString(), StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task A_409_to_a_cancel_is_final()
    {
        _server.On("POST /v1/batches/b/cancel", Answer.Json("""{"error":{"message":"Cannot cancel a batch with status 'completed'."}}""", 409));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server).CancelBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.BatchNotCancellable, exception.Kind);
        Assert.Contains("Cannot cancel a batch with status 'completed'.", exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Theory]
    [InlineData(404)]
    [InlineData(405)]
    [InlineData(501)]
    public async Task A_service_without_cancel_is_reported(int status)
    {
        _server.On("POST /v1/batches/b/cancel", Answer.Html(status));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server).CancelBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.NotSupportedByService, exception.Kind);
    }

    [Fact]
    public async Task A_404_for_a_file_is_FileNotFound()
    {
        const string Missing = """{"error":{"message":"No such File object: f"}}""";
        _server.On("GET /v1/files/f", Answer.Json(Missing, 404)).On("GET /v1/files/f/content", Answer.Json(Missing, 404));
        BatchClient client = Clients.For(_server);
        Assert.Equal(ServiceErrorKind.FileNotFound, (await Assert.ThrowsAsync<ServiceException>(() => client.GetFileAsync("f"))).Kind);
        Assert.Equal(ServiceErrorKind.FileNotFound, (await Assert.ThrowsAsync<ServiceException>(() => client.OpenContentAsync("f"))).Kind);
    }

    [Fact]
    public async Task A_500_of_Inference_net_for_an_unknown_ID_becomes_BatchNotFound()
    {
        _server.On("GET /v1/batches/b", Answer.Json("""{"error":"Failed to retrieve batch"}""", 500));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(
            () => Clients.For(_server, profile: ServiceProfile.InferenceNet).GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.BatchNotFound, exception.Kind);
        Assert.Contains("Failed to retrieve batch", exception.Message, StringComparison.Ordinal);
        Assert.Equal(5, _server.Requests.Count);
        ServiceException elsewhere = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server).GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, elsewhere.Kind);
    }

    [Fact]
    public async Task A_response_that_arrives_byte_by_byte_is_read()
    {
        _server.On("GET /v1/batches/batch_1", Answer.Drip(BatchJson));
        Assert.Equal("batch_1", (await Clients.For(_server).GetBatchAsync("batch_1")).Id);
    }

    [Fact]
    public async Task A_chunked_response_is_read()
    {
        _server.On("GET /v1/batches/batch_1", Answer.Chunked(System.Text.Encoding.UTF8.GetBytes(BatchJson), chunk: 7));
        Assert.Equal("batch_1", (await Clients.For(_server).GetBatchAsync("batch_1")).Id);
    }

    [Fact]
    public async Task A_cancelled_call_ends_at_once()
    {
        _server.On("GET /v1/batches/b", Answer.Stall);
        using var cancel = new CancellationTokenSource();
        Task<Batch> call = Clients.For(_server).GetBatchAsync("b", cancellationToken: cancel.Token);
        await _server.ArrivalAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }
}
