using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Support;

namespace InferenceBatch.Service.Dialects;

/// <summary>
/// Doubleword: a file is validated during the upload. The files of a running batch contain the results so far, marked with
/// <c>X-Incomplete</c> and <c>X-Last-Line</c>.
/// </summary>
public sealed class DoublewordTests : IDisposable
{
    private const string Out = "GET /v1/files/file-out/content";

    private readonly LifeCycle _doubleword = new("Doubleword");

    public void Dispose() => _doubleword.Dispose();

    [Fact]
    public async Task A_whole_batch()
    {
        _doubleword.Server
            .On("POST /v1/files", Answer.Json("""{"id":"file-1","object":"file","bytes":10,"created_at":1,"filename":"in.jsonl","purpose":"batch"}""", 201))
            .On("POST /v1/batches", Job("validating", 0))
            .On("GET /v1/batches/b1", Job("in_progress", 1), Job("completed", 2))
            .On(Out, Chunked("X-Incomplete: false\r\nX-Last-Line: 2\r\n", LifeCycle.Answered("a", "A"), LifeCycle.Answered("b", "B")))
            .On("GET /v1/files/file-err/content", Chunked("X-Incomplete: false\r\nX-Last-Line: 0\r\n"));
        (Batch batch, Dictionary<string, BatchResult> results) = await _doubleword.RunAsync();
        Assert.Equal(BatchStatus.Completed, batch.Status);
        Assert.Equal(["A", "B"], results.Values.Select(result => result.Text).Order());
    }

    [Fact]
    public async Task An_invalid_file_is_refused_at_the_upload()
    {
        _doubleword.Server.On("POST /v1/files", Answer.Json("""{"error":{"message":"Line 2: Invalid JSON","type":"invalid_request_error"}}""", 400));
        ServiceException exception = await Clients.FailsAsync(_doubleword.UploadAsync());
        Assert.Equal(ServiceErrorKind.ServiceRejected, exception.Kind);
        Assert.Contains("Line 2: Invalid JSON", exception.Message, StringComparison.Ordinal);
        Assert.Single(_doubleword.Server.Requests);
    }

    [Fact]
    public async Task A_running_batch_returns_partial_results()
    {
        Batch running = await RunningAsync();
        string file = LifeCycle.Answered("a", "A");
        _doubleword.Server
            .On(Out, Chunked("X-Incomplete: true\r\nX-Last-Line: 1\r\n", file))
            .On("GET /v1/files/file-err/content", Chunked("X-Incomplete: true\r\nX-Last-Line: 0\r\n"));
        var reader = new ResultReader();
        Assert.Equal("a", Assert.Single(await reader.ReadAsync(_doubleword.Client, running).ToListAsync()).CustomId);
        Assert.True(reader.IsPartial);
        Assert.True(reader.HasReadFile);
    }

    [Fact]
    public async Task An_incomplete_line_is_not_returned_yet()
    {
        Batch running = await RunningAsync();
        _doubleword.Server
            .On(Out, Chunked("X-Incomplete: true\r\n", LifeCycle.Answered("a", "A"), LifeCycle.Answered("b", "B")[..40]))
            .On("GET /v1/files/file-err/content", Answer.Json("""{"error":{"message":"File not found"}}""", 404));
        Assert.Equal("a", Assert.Single(await _doubleword.ResultsAsync(running)).CustomId);
    }

    [Fact]
    public async Task Files_that_do_not_exist_yet_are_not_an_error_while_the_batch_runs()
    {
        Batch running = await RunningAsync();
        Behaviour notFound = Answer.Json("""{"error":{"message":"File not found"}}""", 404);
        _doubleword.Server.On(Out, notFound).On("GET /v1/files/file-err/content", notFound);
        var reader = new ResultReader();
        Assert.Empty(await reader.ReadAsync(_doubleword.Client, running).ToListAsync());
        Assert.False(reader.HasReadFile);
    }

    [Fact]
    public async Task A_batch_that_has_ended_is_complete_unless_its_file_says_otherwise()
    {
        _doubleword.Server.On("GET /v1/batches/b1", Job("completed", 2))
            .On(Out, Chunked("X-Incomplete: false\r\n", LifeCycle.Answered("a", "A")), Chunked("X-Incomplete: true\r\n", LifeCycle.Answered("a", "A")))
            .On("GET /v1/files/file-err/content", Chunked("X-Incomplete: false\r\n"));
        Batch ended = await _doubleword.Client.GetBatchAsync("b1");
        foreach (bool partial in new[] { false, true })
        {
            var reader = new ResultReader();
            Assert.Single(await reader.ReadAsync(_doubleword.Client, ended).ToListAsync());
            Assert.Equal(partial, reader.IsPartial);
        }
    }

    [Fact]
    public async Task A_broken_stream_resumes_after_the_last_complete_line()
    {
        string[] lines = [.. Enumerable.Range(1, 200).Select(i => LifeCycle.Answered($"request-{i}", "x"))];
        byte[] broken = Encoding.UTF8.GetBytes(string.Concat(lines[..90]) + lines[90][..50]);
        _doubleword.Server.On("GET /v1/batches/b1", Job("completed", 200))
            .On(Out, Answer.Chunked(broken, 777, isWhole: false), Chunked("X-Incomplete: false\r\n", lines[90..]))
            .On("GET /v1/files/file-err/content", Chunked(""));
        List<BatchResult> results = await _doubleword.ResultsAsync(await _doubleword.Client.GetBatchAsync("b1"));
        Assert.Equal(Enumerable.Range(1, 200).Select(i => $"request-{i}"), results.Select(result => result.CustomId));
        Assert.Equal("GET /v1/files/file-out/content?offset=90", _doubleword.Server.Asked.ElementAt(2));
        Assert.Null(_doubleword.Server.Requests[2].Header("Range"));
    }

    [Fact]
    public async Task A_stream_resumes_wherever_it_breaks()
    {
        string[] lines = [.. Enumerable.Range(1, 12).Select(i => LifeCycle.Answered($"request-{i}", "x"))];
        byte[] all = Encoding.UTF8.GetBytes(string.Concat(lines));
        using var doubleword = new LifeCycle("Doubleword");
        doubleword.Server.On(Out, Answer.Choose(exchange =>
        {
            int at = exchange.Path.IndexOf("offset=", StringComparison.Ordinal);
            byte[] rest = Encoding.UTF8.GetBytes(string.Concat(at < 0 ? lines : lines[int.Parse(exchange.Path[(at + 7)..], System.Globalization.CultureInfo.InvariantCulture)..]));
            return doubleword.Server.Requests.Count % 3 == 0 ? Answer.Chunked(rest) : Answer.Chunked(rest[..Math.Min(rest.Length, 1 + (doubleword.Server.Requests.Count * 37 % 400))], 100, isWhole: false);
        }));
        for (int round = 0; round < 20; round++)
        {
            using var whole = new MemoryStream();
            await using Stream stream = doubleword.Client.ReadContent("file-out");
            await stream.CopyToAsync(whole);
            Assert.True(whole.ToArray().AsSpan().SequenceEqual(all));
        }
    }

    [Fact]
    public async Task A_download_reports_whether_the_file_is_complete()
    {
        string path = Path.Combine(Path.GetTempPath(), $"doubleword-{Guid.NewGuid():N}.jsonl");
        _doubleword.Server.On(Out, Chunked("X-Incomplete: true\r\n", LifeCycle.Answered("a", "A")), Chunked("X-Incomplete: false\r\n", LifeCycle.Answered("a", "A")));
        try
        {
            Assert.False(await Download.ToFileAsync(_doubleword.Client, "file-out", path));
            Assert.True(await Download.ToFileAsync(_doubleword.Client, "file-out", path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void The_windows_are_a_day_and_an_hour() => Assert.Equal(["24h", "1h"], _doubleword.Profile.CompletionWindows);

    private Task<Batch> RunningAsync()
    {
        _doubleword.Server.On("GET /v1/batches/b1", Job("in_progress", 1));
        return _doubleword.Client.GetBatchAsync("b1");
    }

    private static Behaviour Job(string status, int completed) => Answer.Json(
        "{\"id\":\"b1\",\"object\":\"batch\",\"endpoint\":\"/v1/chat/completions\",\"errors\":null,\"input_file_id\":\"file-1\",\"completion_window\":\"24h\","
        + "\"status\":\"" + status + "\",\"output_file_id\":\"file-out\",\"error_file_id\":\"file-err\",\"created_at\":1714508499,"
        + "\"request_counts\":{\"total\":2,\"completed\":" + completed + ",\"failed\":0}}");

    /// <summary>A body without a length, as the service streams it from its database.</summary>
    private static Behaviour Chunked(string headers, params string[] lines) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
        foreach (string line in lines)
        {
            await exchange.SendAsync($"{Encoding.UTF8.GetByteCount(line):x}\r\n{line}\r\n");
        }

        await exchange.SendAsync("0\r\n\r\n");
    };
}
