using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Results;

/// <summary>Output and error files as streams of results.</summary>
public sealed class ResultReaderTests : IDisposable
{
    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly List<int> _badLines = [];

    private ResultReader Reader => new() { OnBadLine = (line, _) => _badLines.Add(line) };

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task The_results_of_a_batch_are_those_of_its_output_file_then_its_error_file()
    {
        _server.On("GET /v1/files/out/content", Answer.Whole(200, "text/plain", Lines("c", "a")))
            .On("GET /v1/files/err/content", Answer.Whole(200, "text/plain", "{\"custom_id\":\"b\",\"response\":null,\"error\":{\"code\":\"batch_expired\"}}\n"u8.ToArray()));
        List<BatchResult> results = await Reader.ReadAsync(Clients.For(_server, _time), Finished("out", "err")).ToListAsync();
        Assert.Equal(["c", "a", "b"], results.Select(result => result.CustomId));
        Assert.Equal(ResultStatus.Expired, results[2].Status);
        Assert.All(results, result => Assert.Equal("batch_1", result.BatchId));
    }

    [Fact]
    public async Task Files_may_be_missing_empty_or_the_same()
    {
        _server.On("GET /v1/files/empty/content", Answer.Whole(200, "text/plain", []))
            .On("GET /v1/files/both/content", Answer.Whole(200, "text/plain", Lines("a")));
        BatchClient client = Clients.For(_server, _time);
        Assert.Empty(await Reader.ReadAsync(client, Finished(null, null)).ToListAsync());
        Assert.Empty(_server.Requests);
        Assert.Empty(await Reader.ReadAsync(client, Finished(null, "empty")).ToListAsync());
        Assert.Single(await Reader.ReadAsync(client, Finished("both", "both")).ToListAsync());
    }

    [Fact]
    public async Task A_broken_connection_neither_loses_nor_repeats_a_line()
    {
        byte[] file = Lines([.. Enumerable.Range(1, 5_000).Select(i => $"request-{i}")]);
        _server.On(
            "GET /v1/files/out/content",
            Answer.File(file, 1_234), Answer.CutOff(file, 100_000), Answer.Html(503), Answer.Drop, Answer.File(file, 77_777), Answer.File(file));
        List<BatchResult> results = await Reader.ReadAsync(Clients.For(_server, _time), Finished("out", null)).ToListAsync();
        Assert.Equal(Enumerable.Range(1, 5_000).Select(i => $"request-{i}"), results.Select(result => result.CustomId));
    }

    [Fact]
    public async Task An_invalid_line_is_reported_and_the_others_are_read()
    {
        List<BatchResult> results = await ReadAsync("{\"custom_id\":\"a\"}\n\n \r\noops\n{\"custom_id\":\"b\"}\r\n[1]\n{\"custom_id\":\"c\"}");
        Assert.Equal(["a", "b", "c"], results.Select(result => result.CustomId));
        Assert.Equal([4, 6], _badLines);
    }

    [Fact]
    public async Task An_incomplete_last_line_is_an_incomplete_download()
    {
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => ReadAsync("{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\",\"resp"));
        Assert.Equal(ServiceErrorKind.DownloadIncomplete, exception.Kind);
        Assert.Contains("line 2", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_lines_of_a_duplicate_ID_are_returned() =>
        Assert.Equal(["a", "a", "b"], (await ReadAsync(Encoding.UTF8.GetString(Lines("a", "a", "b")))).Select(result => result.CustomId));

    [Fact]
    public async Task A_missing_file_is_reported_with_its_ID()
    {
        _server.On("GET /v1/files/out/content", Answer.Json("""{"error":{"message":"No such File object: out"}}""", 404));
        ServiceException exception = await Clients.FailsAsync(Reader.ReadAsync(Clients.For(_server, _time), Finished("out", null)).ToListAsync());
        Assert.Equal(ServiceErrorKind.FileNotFound, exception.Kind);
    }

    [Theory]
    [InlineData("404")]
    [InlineData("404 html")]
    [InlineData("403")]
    [InlineData("410")]
    [InlineData("500")]
    [InlineData("page")]
    public async Task An_unreadable_file_does_not_affect_the_other(string fault)
    {
        foreach (string broken in new[] { "out", "err" })
        {
            _server.Reset();
            _server.On($"GET /v1/files/{broken}/content", Fault(fault))
                .On($"GET /v1/files/{(broken == "out" ? "err" : "out")}/content", Answer.Whole(200, "text/plain", Lines("a", "b")));

            // All requests have a result, so there is a warning and no wait.
            ResultReader reader = Reader;
            Assert.Equal(2, (await reader.ReadAsync(Clients.For(_server, _time), Counted(2, 0, 2, "out", "err")).ToListAsync()).Count);
            Assert.NotNull(reader.UnreadFileError);

            // One request has no result: readable results are returned before the error.
            reader = Reader;
            var results = new List<BatchResult>();
            ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => ReadIntoAsync(results, reader, Counted(2, 1, 3, "out", "err")));
            Assert.Equal(["a", "b"], results.Select(result => result.CustomId));
            Assert.Null(reader.UnreadFileError);
            Assert.Contains(fault == "page" ? "page" : fault[..3], exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_late_file_is_waited_for_and_its_lines_are_returned_once()
    {
        DateTimeOffset began = _time.GetUtcNow();
        var late = new List<string>();
        _server.On("GET /v1/files/out/content", Answer.Whole(200, "text/plain", Lines("a", "b")))
            .On("GET /v1/files/err/content", Answer.Choose(_ => _time.GetUtcNow() - began < TimeSpan.FromMinutes(4) ? Fault("404") : Answer.Whole(200, "text/plain", Lines("c"))));
        var reader = new ResultReader { OnResultsLate = batch => late.Add(batch.Id) };
        Assert.Equal(["a", "b", "c"], (await reader.ReadAsync(Clients.For(_server, _time), Counted(2, 1, 3, "out", "err")).ToListAsync()).Select(result => result.CustomId));
        Assert.Equal(["batch_1"], late);
        Assert.Equal(1, _server.Asked.Count(call => call.Contains("/out/", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(2, 1, 3, "out")]
    [InlineData(3, 0, 3, null)]
    [InlineData(0, 0, 0, null)]
    [InlineData(0, 0, 3, null)]
    public async Task A_batch_that_names_its_files_late_is_polled_again(int completed, int failed, int total, string? output)
    {
        DateTimeOffset began = _time.GetUtcNow();
        _server.On("GET /v1/files/out/content", Answer.Whole(200, "text/plain", Lines("a", "b")))
            .On("GET /v1/files/err/content", Answer.Whole(200, "text/plain", Lines("c")))
            .On("GET /v1/batches/batch_1", Answer.Choose(_ => _time.GetUtcNow() - began < TimeSpan.FromMinutes(1) ? Answer.Json("""{"error":{"message":"no"}}""", 404)
                : Answer.Json("""{"id":"batch_1","status":"completed","output_file_id":"out","error_file_id":"err","request_counts":{"total":3,"completed":2,"failed":1}}""")));
        int read = 0;
        var reader = new ResultReader { IsComplete = () => read == 3 };
        await foreach (BatchResult _ in reader.ReadAsync(Clients.For(_server, _time), Counted(completed, failed, total, output, null)))
        {
            read++;
        }

        Assert.Equal(3, read);
        Assert.Equal("err", reader.LastBatch?.ErrorFileId);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Each_line_of_a_growing_file_is_returned_once(bool hasRanges)
    {
        byte[] all = Lines("a", "b", "c");
        DateTimeOffset began = _time.GetUtcNow();
        _server.On("GET /v1/batches/batch_1", Answer.Html(503))
            .On("GET /v1/files/out/content", Answer.Choose(_ =>
            {
                byte[] now = _time.GetUtcNow() - began < TimeSpan.FromMinutes(1) ? all[..Lines("a").Length] : all;
                return hasRanges ? Answer.File(now) : Answer.Whole(200, "text/plain", now);
            }));
        var read = new List<string>();
        var reader = new ResultReader { IsComplete = () => read.Count == 3 };
        await foreach (BatchResult result in reader.ReadAsync(Clients.For(_server, _time), Counted(3, 0, 3, "out", null)))
        {
            read.Add(result.CustomId);
        }

        Assert.Equal(["a", "b", "c"], read);
    }

    /// <summary>A duplicate line is not a result of another request. So an unreadable file is not harmless, and a late file is waited for.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Duplicate_lines_do_not_count_for_other_requests(bool comesLate)
    {
        DateTimeOffset began = _time.GetUtcNow();
        _server.On("GET /v1/files/out/content", Answer.Whole(200, "text/plain", Lines("a", "a", "b")))
            .On("GET /v1/files/err/content", Answer.Choose(_ => comesLate && _time.GetUtcNow() - began > TimeSpan.FromMinutes(2)
                ? Answer.Whole(200, "text/plain", Lines("c")) : Fault(comesLate ? "404" : "403")));
        var ids = new List<string>();
        var reader = new ResultReader
        {
            IsComplete = () => ids.Distinct().Count() == 3,
            Duplicates = () => ids.Count - ids.Distinct().Count(),
        };
        async Task ReadAsync()
        {
            await foreach (BatchResult result in reader.ReadAsync(Clients.For(_server, _time), Counted(2, 1, 3, "out", "err")))
            {
                ids.Add(result.CustomId);
            }
        }

        if (comesLate)
        {
            await ReadAsync();
        }
        else
        {
            await Assert.ThrowsAsync<ServiceException>(ReadAsync);
        }

        Assert.Equal(comesLate ? ["a", "a", "b", "c"] : ["a", "a", "b"], ids);
        Assert.Null(reader.UnreadFileError);
    }

    [Fact]
    public async Task Missing_files_are_waited_for_five_minutes_and_not_at_all_in_an_old_batch()
    {
        _server.On("GET /v1/files/out/content", Fault("404"));
        foreach (bool isOld in new[] { false, true })
        {
            DateTimeOffset began = _time.GetUtcNow();
            Batch batch = Counted(3, 0, 3, "out", null, isOld ? _time.GetUtcNow().AddHours(-2) : _time.GetUtcNow().AddMinutes(-1));
            ServiceException exception = await Clients.FailsAsync(Reader.ReadAsync(Clients.For(_server, _time), batch).ToListAsync());
            Assert.Equal(ServiceErrorKind.FileNotFound, exception.Kind);
            Assert.Equal(isOld ? 0 : 5, (_time.GetUtcNow() - began).TotalMinutes, 0.1);
        }
    }

    private static Behaviour Fault(string fault) => fault switch
    {
        "404 html" => Answer.Html(404),
        "page" => Answer.Html(200),
        _ => Answer.Json("""{"error":{"message":"No such File object"}}""", int.Parse(fault, System.Globalization.CultureInfo.InvariantCulture)),
    };

    private static Batch Counted(int completed, int failed, int total, string? output, string? error, DateTimeOffset? ended = null) => new()
    {
        Id = "batch_1",
        Status = BatchStatus.Completed,
        OutputFileId = output,
        ErrorFileId = error,
        RequestCounts = new RequestCounts(total, completed, failed),
        CompletedAt = ended,
    };

    private async Task ReadIntoAsync(List<BatchResult> results, ResultReader reader, Batch batch)
    {
        await foreach (BatchResult result in reader.ReadAsync(Clients.For(_server, _time), batch))
        {
            results.Add(result);
        }
    }

    [Fact]
    public async Task A_reader_that_stops_closes_the_connection()
    {
        byte[] file = Lines([.. Enumerable.Range(1, 100_000).Select(i => $"request-{i}")]);
        var broken = new TaskCompletionSource();
        _server.On("GET /v1/files/out/content", async exchange =>
        {
            try
            {
                await exchange.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {file.Length * 100L}\r\n\r\n");
                while (true)
                {
                    await exchange.SendAsync(file);
                }
            }
            catch (System.Net.Sockets.SocketException)
            {
                broken.TrySetResult();
                throw;
            }
        });
        await foreach (BatchResult result in Reader.ReadAsync(Clients.For(_server, _time), Finished("out", null)))
        {
            Assert.Equal("request-1", result.CustomId);
            break;
        }

        await broken.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static byte[] Lines(params string[] ids) => Encoding.UTF8.GetBytes(string.Concat(ids.Select(id =>
        "{\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"body\":{\"choices\":[{\"message\":{\"content\":\"x\"}}]}},\"error\":null}\n")));

    private static Batch Finished(string? output, string? error) =>
        new() { Id = "batch_1", Status = BatchStatus.Completed, OutputFileId = output, ErrorFileId = error };

    private Task<List<BatchResult>> ReadAsync(string file) => Reader.ReadAsync(new MemoryStream(Encoding.UTF8.GetBytes(file)), null).ToListAsync();
}
