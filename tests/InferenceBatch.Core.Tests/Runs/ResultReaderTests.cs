using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>Output and error files as streams of results.</summary>
public sealed class ResultReaderTests : IDisposable
{
    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly List<int> _badLines = [];

    private ResultReader Reader => new() { OnBadLine = (line, _) => _badLines.Add(line) };

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task A_batchs_results_are_those_of_its_output_file_then_its_error_file()
    {
        _server.On("GET /v1/files/out/content", Answer.Whole(200, "text/plain", Lines("c", "a")))
            .On("GET /v1/files/err/content", Answer.Whole(200, "text/plain", "{\"custom_id\":\"b\",\"response\":null,\"error\":{\"code\":\"batch_expired\"}}\n"u8.ToArray()));
        List<BatchResult> results = await Reader.ReadAsync(Clients.For(_server, _time), Finished("out", "err")).ToListAsync();
        Assert.Equal(["c", "a", "b"], results.Select(result => result.CustomId));
        Assert.Equal(ResultStatus.Expired, results[2].Status);
        Assert.All(results, result => Assert.Equal("batch_1", result.BatchId));
    }

    [Fact]
    public async Task Files_may_be_absent_or_empty_or_one()
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
    public async Task A_connection_that_breaks_costs_no_line_and_repeats_none()
    {
        byte[] file = Lines([.. Enumerable.Range(1, 5_000).Select(i => $"request-{i}")]);
        _server.On(
            "GET /v1/files/out/content",
            Answer.File(file, 1_234), Answer.CutOff(file, 100_000), Answer.Html(503), Answer.Drop, Answer.File(file, 77_777), Answer.File(file));
        List<BatchResult> results = await Reader.ReadAsync(Clients.For(_server, _time), Finished("out", null)).ToListAsync();
        Assert.Equal(Enumerable.Range(1, 5_000).Select(i => $"request-{i}"), results.Select(result => result.CustomId));
    }

    [Fact]
    public async Task A_bad_line_is_told_and_the_others_go_on()
    {
        List<BatchResult> results = await ReadAsync("{\"custom_id\":\"a\"}\n\n \r\noops\n{\"custom_id\":\"b\"}\r\n[1]\n{\"custom_id\":\"c\"}");
        Assert.Equal(["a", "b", "c"], results.Select(result => result.CustomId));
        Assert.Equal([4, 6], _badLines);
    }

    [Fact]
    public async Task A_last_line_that_is_cut_off_is_an_incomplete_download()
    {
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => ReadAsync("{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\",\"resp"));
        Assert.Equal(ServiceErrorKind.DownloadIncomplete, exception.Kind);
        Assert.Contains("line 2", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Repeated_ids_are_all_given() =>
        Assert.Equal(["a", "a", "b"], (await ReadAsync(Encoding.UTF8.GetString(Lines("a", "a", "b")))).Select(result => result.CustomId));

    [Fact]
    public async Task A_missing_file_is_told_with_its_id()
    {
        _server.On("GET /v1/files/out/content", Answer.Json("""{"error":{"message":"No such File object: out"}}""", 404));
        ServiceException exception = await Clients.FailsAsync(Reader.ReadAsync(Clients.For(_server, _time), Finished("out", null)).ToListAsync());
        Assert.Equal(ServiceErrorKind.FileNotFound, exception.Kind);
    }

    [Fact]
    public async Task Who_stops_reading_closes_the_connection()
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
