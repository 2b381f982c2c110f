using System.Text;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>GET /files/{id}/content: as a stream, and to disk.</summary>
public sealed class DownloadTests : IDisposable
{
    private const string Route = "GET /v1/files/f/content";

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("download-").FullName;
    private readonly byte[] _content = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(1, 40_000).Select(i => $"{{\"line\":{i}}}\n")));

    private string Target => Path.Combine(_folder, "out.jsonl");

    public void Dispose()
    {
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_complete_download_leaves_no_other_file()
    {
        _server.On(Route, Answer.File(_content));
        var seen = new List<(long, long?)>();
        await Download.ToFileAsync(Clients.For(_server, _time), "f", Target, new Now(seen.Add));
        AssertWhole();
        Assert.Equal((_content.Length, (long?)_content.Length), seen[^1]);
    }

    [Fact]
    public async Task The_target_is_replaced_only_by_a_complete_file()
    {
        await File.WriteAllTextAsync(Target, "old");
        _server.On(Route, Answer.Json("""{"error":{"message":"No such File object: f"}}""", 404));
        Assert.Equal(ServiceErrorKind.FileNotFound, (await Clients.FailsAsync(ToFileAsync())).Kind);
        Assert.Equal("old", await File.ReadAllTextAsync(Target));
        Assert.Single(Directory.GetFiles(_folder)); // There is no partial file.
    }

    [Fact]
    public async Task An_empty_file_is_downloaded()
    {
        _server.On(Route, Answer.File([]));
        await ToFileAsync();
        Assert.Equal(0, new FileInfo(Target).Length);
    }

    [Fact]
    public async Task A_broken_download_resumes_at_its_offset()
    {
        _server.On(Route, Answer.File(_content, 100_000), Answer.File(_content, 50_001), Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
        Assert.Equal([null, "bytes=100000-", "bytes=150001-"], _server.Requests.Select(request => request.Header("Range")));
    }

    [Fact]
    public async Task Without_range_support_the_bytes_already_read_are_skipped()
    {
        _server.On(Route, Answer.CutOff(_content, 100_000), Answer.CutOff(_content, 200_000), Answer.Whole(200, "text/plain", _content));
        await ToFileAsync();
        AssertWhole();
        Assert.Equal("bytes=200000-", _server.Requests[2].Header("Range"));
    }

    [Fact]
    public async Task A_chunked_download_without_a_length_is_complete()
    {
        _server.On(Route, Answer.Chunked(_content, isWhole: false), Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
    }

    [Fact]
    public async Task A_stalled_download_resumes_after_100_seconds()
    {
        _server.On(Route, Answer.StallAfter(_content, 70_000), Answer.File(_content));
        var waiting = new TaskCompletionSource<Task>();
        Task download = Download.ToFileAsync(
            Clients.For(_server, _time), "f", Target, new Now(seen => _ = seen.Bytes == 70_000 && waiting.TrySetResult(_time.NextLimit())));
        await await waiting.Task.WaitAsync(TimeSpan.FromSeconds(30));
        _time.Advance(TimeSpan.FromSeconds(101));
        await download.WaitAsync(TimeSpan.FromSeconds(30));
        AssertWhole();
        Assert.Equal("bytes=70000-", _server.Requests[1].Header("Range"));
    }

    [Fact]
    public async Task Five_attempts_without_data_end_the_download()
    {
        _server.On(Route, Answer.CutOff(_content, 1_000), Answer.CutOff(_content, 0));
        ServiceException exception = await Clients.FailsAsync(ToFileAsync());
        Assert.Equal(ServiceErrorKind.DownloadIncomplete, exception.Kind);
        Assert.Contains("1000 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Equal(1 + 5, _server.Requests.Count);
        Assert.False(File.Exists(Target));
    }

    [Fact]
    public async Task Attempts_with_new_data_are_not_counted()
    {
        _server.On(Route, [.. Enumerable.Repeat(Answer.File(_content, 10_000), 20), Answer.File(_content)]);
        await ToFileAsync();
        AssertWhole();
        Assert.Equal(21, _server.Requests.Count);
    }

    [Fact]
    public async Task A_partial_file_of_an_earlier_download_is_resumed()
    {
        _server.On(Route, Answer.CutOff(_content, 90_000), Answer.CutOff(_content, 0));
        await Clients.FailsAsync(ToFileAsync());
        Assert.Equal(90_000, new FileInfo(Assert.Single(Directory.GetFiles(_folder))).Length);

        using var restarted = new FaultServer();
        restarted.On("GET /v1/files/f", FileOf(_content.Length)).On(Route, Answer.File(_content));
        await Download.ToFileAsync(Clients.For(restarted, _time), "f", Target);
        AssertWhole();
        Assert.Equal("bytes=90000-", restarted.Requests[^1].Header("Range"));
    }

    [Fact]
    public async Task A_partial_file_that_is_already_complete_is_only_renamed()
    {
        await LeavePartAsync(_content);
        _server.On("GET /v1/files/f", FileOf(_content.Length)).On(Route, Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
    }

    [Fact]
    public async Task A_partial_file_longer_than_the_file_is_downloaded_again()
    {
        await LeavePartAsync([.. _content, .. "more"u8]);
        _server.On("GET /v1/files/f", FileOf(_content.Length)).On(Route, Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
    }

    [Fact]
    public async Task If_the_size_is_unknown_a_partial_file_is_downloaded_again()
    {
        await LeavePartAsync("something else altogether"u8.ToArray());
        _server.On("GET /v1/files/f", Answer.Html(404)).On(Route, Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
        Assert.Null(_server.Requests[^1].Header("Range"));
    }

    [Fact]
    public async Task The_partial_file_of_another_file_is_not_resumed()
    {
        await LeavePartAsync("other"u8.ToArray(), "g");
        _server.On("GET /v1/files/f", FileOf(_content.Length)).On(Route, Answer.File(_content));
        await ToFileAsync();
        Assert.True((await File.ReadAllBytesAsync(Target)).AsSpan().SequenceEqual(_content));
    }

    [Fact]
    public async Task A_range_with_another_start_is_refused()
    {
        _server.On(
            Route,
            Answer.File(_content, 1_000),
            Answer.Whole(206, "text/plain", _content[500..], $"Content-Range: bytes 500-{_content.Length - 1}/{_content.Length}"),
            Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
    }

    [Fact]
    public async Task A_range_that_is_too_short_is_followed_by_a_request_for_the_rest()
    {
        string length = _content.Length.ToString(System.Globalization.CultureInfo.InvariantCulture);
        _server.On(
            Route,
            Answer.File(_content, 1_000),
            Answer.Whole(206, "text/plain", _content[1_000..2_000], "Content-Range: bytes 1000-1999/" + length),
            Answer.Whole(206, "text/plain", _content[2_000..9_000], "Content-Range: bytes 2000-8999/" + length),
            Answer.File(_content));
        await ToFileAsync();
        AssertWhole();
        Assert.Equal("bytes=9000-", _server.Requests[^1].Header("Range"));
    }

    [Fact]
    public async Task A_cancelled_download_keeps_the_partial_file()
    {
        _server.On(Route, Answer.StallAfter(_content, 70_000));
        using var cancel = new CancellationTokenSource();
        Task download = Download.ToFileAsync(
            Clients.For(_server, _time), "f", Target, new Now(seen => _ = seen.Bytes == 70_000 && cancel.CancelAsync().IsCompleted), cancel.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => download.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal(70_000, new FileInfo(Assert.Single(Directory.GetFiles(_folder))).Length);
    }

    /// <summary>If a response ends with the connection, as in HTTP/1.0, it looks the same as a broken one.</summary>
    [Theory]
    [InlineData(99_995, false)]
    [InlineData(int.MaxValue, true)]
    public async Task Without_a_length_the_last_line_must_be_complete(int bytes, bool isWhole)
    {
        byte[] sent = _content[..Math.Min(bytes, _content.Length)];
        Assert.Equal(isWhole, sent[^1] == '\n');
        _server.On(Route, async exchange =>
        {
            await exchange.ReadBodyAsync();
            await exchange.SendAsync("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            await exchange.SendAsync(sent);
            exchange.Close();
        });
        if (isWhole)
        {
            await ToFileAsync();
            AssertWhole();
        }
        else
        {
            ServiceException exception = await Clients.FailsAsync(ToFileAsync());
            Assert.Equal(ServiceErrorKind.DownloadIncomplete, exception.Kind);
            Assert.False(File.Exists(Target));
        }
    }

    [Fact]
    public async Task IDs_never_become_paths()
    {
        _server.On("GET /v1/files/..%2F..%2Fx/content", Answer.File(_content));
        await Download.ToFileAsync(Clients.For(_server, _time), "../../x", Target);
        AssertWhole();
    }

    [Fact]
    public async Task A_stream_reports_its_position_and_length()
    {
        _server.On(Route, Answer.Whole(200, "text/plain", _content, "X-Incomplete: true", "X-Last-Line: 7"));
        await using var stream = new ContentStream(Clients.For(_server, _time), "f");
        Assert.Equal(1, await stream.ReadAsync(new byte[1]));
        Assert.Equal(1, stream.Position);
        Assert.Equal(_content.Length, stream.Length);
        Assert.True(stream.IsPartial);
    }

    private static Behaviour FileOf(long bytes) => Answer.Json($$"""{"id":"f","bytes":{{bytes}}}""");

    private Task<bool> ToFileAsync() => Download.ToFileAsync(Clients.For(_server, _time), "f", Target);

    /// <summary>Creates a partial file of a file ID, with the name that a broken download uses.</summary>
    private async Task LeavePartAsync(byte[] part, string id = "f")
    {
        using var server = new FaultServer();
        server.On($"GET /v1/files/{id}/content", Answer.CutOff([1, 2], 1), Answer.CutOff([1, 2], 0));
        await Clients.FailsAsync(Download.ToFileAsync(Clients.For(server, _time), id, Target));
        await File.WriteAllBytesAsync(Assert.Single(Directory.GetFiles(_folder)), part);
    }

    private void AssertWhole()
    {
        Assert.True(File.ReadAllBytes(Target).AsSpan().SequenceEqual(_content));
        Assert.Equal([Target], Directory.GetFiles(_folder));
    }

    private sealed class Now(Action<(long Bytes, long? Total)> report) : IProgress<(long Bytes, long? Total)>
    {
        public void Report((long Bytes, long? Total) value) => report(value);
    }
}
