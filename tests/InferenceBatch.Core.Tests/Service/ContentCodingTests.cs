using System.Globalization;
using System.IO.Compression;
using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>Gateways that compress responses without a request to do so.</summary>
[Collection(MemoryCollection.Name)]
public sealed class ContentCodingTests : IDisposable
{
    private const string Content = "GET /v1/files/f/content";
    private const string Batch = "GET /v1/batches/b";
    private const string Good = """{"id":"b","status":"completed"}""";

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("coding-").FullName;
    private readonly byte[] _lines = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(1, 10_000).Select(i =>
        $$"""{"custom_id":"r{{i}}","response":{"status_code":200,"body":{"choices":[{"message":{"content":"{{i * 7919 % 10_007}}"} }]} } }""" + "\n")));

    public static TheoryData<string, Func<byte[], byte[]>> Codings => new()
    {
        { "gzip", GZip },
        { "GZIP", GZip },
        { "x-gzip", GZip },
        { "deflate", ZLib },
        { "deflate", Deflate },
        { "br", Brotli },
        { "gzip, br", content => Brotli(GZip(content)) },
        { "br, deflate , gzip", content => GZip(ZLib(Brotli(content))) },
        { "identity", content => content },
        { "gzip,identity", GZip },
        { "aws-chunked", content => content },
        { "utf-8", content => content },
        { "gzip\r\nContent-Encoding: br", content => Brotli(GZip(content)) },
        { "gzip", content => [.. GZip(content[..(content.Length / 2)]), .. GZip(content[(content.Length / 2)..])] },
    };

    public void Dispose()
    {
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Codings))]
    public async Task Responses_errors_and_files_are_decoded(string coding, Func<byte[], byte[]> encode)
    {
        string header = "Content-Encoding: " + coding;
        _server.On(Batch, Answer.Whole(200, "application/json", encode(Encoding.UTF8.GetBytes(Good)), header));
        _server.On("GET /v1/batches/c", Answer.Whole(404, "application/json", encode("""{"error":{"message":"No batch c.","code":"nope"}}"""u8.ToArray()), header));
        _server.On("GET /v1/batches", Answer.Whole(200, "application/json", encode(Encoding.UTF8.GetBytes($"[{Good}]")), header));
        _server.On(Content, Answer.Whole(200, "application/jsonl", encode(_lines), header));
        BatchClient client = Clients.For(_server, _time);
        Assert.Equal("b", (await client.GetBatchAsync("b")).Id);
        ServiceException refused = await Clients.FailsAsync(client.GetBatchAsync("c"));
        Assert.Equal((ServiceErrorKind.BatchNotFound, "nope"), (refused.Kind, refused.Error?.Code));
        Assert.Single(await client.ListBatchesAsync().ToListAsync());
        Assert.Equal(_lines, await DownloadAsync());
        Assert.Equal(10_000, await ResultsAsync());
        Assert.All(_server.Requests, request => Assert.Equal("identity", request.Header("Accept-Encoding")));
    }

    [Fact]
    public async Task An_Accept_Encoding_of_the_user_is_sent()
    {
        _server.On(Batch, Answer.Whole(200, "application/json", GZip(Encoding.UTF8.GetBytes(Good)), "Content-Encoding: gzip"));
        await Clients.For(_server, headers: new Dictionary<string, string> { ["accept-encoding"] = "gzip" }).GetBatchAsync("b");
        Assert.Equal("gzip", _server.Requests[0].Header("Accept-Encoding"));
    }

    [Fact]
    public async Task A_broken_compressed_download_restarts_and_skips_what_was_read()
    {
        byte[] packed = GZip(_lines);
        _server.On(
            Content,
            Compressed(packed, packed.Length / 2), Compressed(packed, packed.Length - 9), Compressed(packed, 5), Compressed(packed));
        Assert.Equal(_lines, await DownloadAsync());
        // A range would count compressed bytes.
        Assert.All(_server.Requests, request => Assert.Null(request.Header("Range")));
        Assert.Equal(4, _server.Requests.Count);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task A_range_of_the_compressed_bytes_is_not_used(string coding)
    {
        // The first response is not compressed. The gateway compresses only the following ones.
        byte[] packed = coding == "br" ? Brotli(_lines) : GZip(_lines);
        _server.On(Content, Answer.File(_lines, 100_000), Compressed(packed, coding: coding));
        Assert.Equal(_lines, await DownloadAsync());
        Assert.Equal([null, "bytes=100000-", null], _server.Requests.Select(request => request.Header("Range")));
    }

    [Fact]
    public async Task A_partial_file_is_resumed_from_a_compressed_response()
    {
        string target = Path.Combine(_folder, "out.jsonl");
        await File.WriteAllBytesAsync(target + ".f.part", _lines[..70_001]);
        _server.On("GET /v1/files/f", Answer.Json($$"""{"id":"f","bytes":{{_lines.Length}}}""")).On(Content, Compressed(GZip(_lines)));
        await Download.ToFileAsync(Clients.For(_server, _time), "f", target);
        Assert.Equal(_lines, await File.ReadAllBytesAsync(target));
    }

    [Fact]
    public async Task Results_survive_a_broken_compressed_response()
    {
        byte[] packed = GZip(_lines);
        _server.On(Batch, Answer.Json("""{"id":"b","status":"completed","output_file_id":"f"}""")).On(Content, Compressed(packed, packed.Length / 3), Compressed(packed));
        BatchClient client = Clients.For(_server, _time);
        List<BatchResult> results = await new ResultReader().ReadAsync(client, await client.GetBatchAsync("b")).ToListAsync();
        Assert.Equal(10_000, results.Select(result => result.CustomId).Distinct().Count());
    }

    [Fact]
    public async Task A_download_by_line_resumes_by_line()
    {
        ServiceProfile byLine = ServiceProfile.Find("Doubleword")!;
        byte[] packed = GZip(_lines);
        _server.On(Content, Compressed(packed, packed.Length / 2), Answer.Choose(exchange =>
        {
            int skipped = int.Parse(exchange.Path.Split("offset=")[1], CultureInfo.InvariantCulture);
            int start = 0;
            for (int line = 0; line < skipped; line++)
            {
                start += _lines.AsSpan(start).IndexOf((byte)'\n') + 1;
            }

            return Answer.Whole(200, "x/y", GZip(_lines[start..]), "Content-Encoding: gzip");
        }));
        string target = Path.Combine(_folder, "out.jsonl");
        await Download.ToFileAsync(Clients.For(_server, _time, byLine), "f", target);
        Assert.Equal(_lines, await File.ReadAllBytesAsync(target));
    }

    [Fact]
    public async Task A_damaged_response_is_retried()
    {
        byte[] packed = GZip(_lines);
        byte[] damaged = [.. packed];
        damaged.AsSpan(10, 400).Fill(0xFF);
        byte[] brotli = [0xFF, .. Brotli(Encoding.UTF8.GetBytes(Good))];
        _server.On(Content, Compressed(damaged), Compressed(packed));
        _server.On(Batch, Answer.Whole(200, "application/json", brotli, "Content-Encoding: br"), Answer.Json(Good));
        Assert.Equal(_lines, await DownloadAsync());
        Assert.Equal("b", (await Clients.For(_server, _time).GetBatchAsync("b")).Id);
    }

    [Fact]
    public async Task Nothing_is_kept_of_a_response_that_is_damaged_in_the_middle()
    {
        byte[] damaged = GZip(_lines);
        damaged.AsSpan(damaged.Length / 2, 400).Fill(0xFF);
        _server.On(Content, Compressed(damaged), Compressed(GZip(_lines)));
        Assert.Equal(ServiceErrorKind.DownloadIncomplete, (await Clients.FailsAsync(DownloadAsync())).Kind);
        Assert.Empty(Directory.GetFiles(_folder));
        Assert.Equal(_lines, await DownloadAsync());
    }

    [Fact]
    public async Task A_download_that_stays_damaged_is_incomplete()
    {
        byte[] damaged = GZip(_lines);
        damaged.AsSpan(10, 400).Fill(0xFF);
        _server.On(Content, Compressed(damaged));
        Assert.Equal(ServiceErrorKind.DownloadIncomplete, (await Clients.FailsAsync(DownloadAsync())).Kind);
    }

    [Theory]
    [InlineData("zstd")]
    [InlineData("gzip, zstd")]
    [InlineData("compress")]
    [InlineData("gzip,gzip,gzip,gzip,gzip,gzip")]
    public async Task An_unknown_coding_is_reported_at_once(string coding)
    {
        _server.On(Batch, Answer.Whole(200, "application/json", [1, 2, 3], "Content-Encoding: " + coding))
            .On("GET /v1/batches/c", Answer.Whole(401, "application/json", [1, 2, 3], "Content-Encoding: " + coding))
            .On(Content, Answer.Whole(200, "application/json", [1, 2, 3], "Content-Encoding: " + coding));
        ServiceException exception = await Clients.FailsAsync(Clients.For(_server, _time).GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, exception.Kind);
        Assert.Contains(coding.Split(',')[0], exception.Message, StringComparison.Ordinal);
        Assert.Equal(ServiceErrorKind.Unauthorized, (await Clients.FailsAsync(Clients.For(_server, _time).GetBatchAsync("c"))).Kind);
        await Clients.FailsAsync(DownloadAsync());
        Assert.Equal(3, _server.Requests.Count);
    }

    [Fact]
    public async Task A_decompression_bomb_is_limited()
    {
        byte[] bomb = GZip(new byte[512 * 1024 * 1024], CompressionLevel.Fastest);
        Assert.True(bomb.Length < 8 * 1024 * 1024);
        _server.On(Batch, Answer.Whole(200, "application/json", bomb, "Content-Encoding: gzip"))
            .On("GET /v1/batches/c", Answer.Whole(400, "application/json", bomb, "Content-Encoding: gzip"))
            .On(Content, Answer.Whole(200, "application/jsonl", bomb, "Content-Encoding: gzip"));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, (await Clients.FailsAsync(Clients.For(_server, _time).GetBatchAsync("b"))).Kind);
        long before = GC.GetTotalAllocatedBytes();
        Assert.Equal(ServiceErrorKind.ServiceRejected, (await Clients.FailsAsync(Clients.For(_server, _time).GetBatchAsync("c"))).Kind);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 16 * 1024 * 1024);
        // A line of a result file: 512 MB without a line feed.
        await Assert.ThrowsAsync<IOException>(ResultsAsync);
    }

    private static byte[] GZip(byte[] content) => GZip(content, CompressionLevel.Optimal);

    private static byte[] GZip(byte[] content, CompressionLevel level) => Packed(content, target => new GZipStream(target, level));

    private static byte[] ZLib(byte[] content) => Packed(content, target => new ZLibStream(target, CompressionLevel.Optimal));

    private static byte[] Deflate(byte[] content) => Packed(content, target => new DeflateStream(target, CompressionLevel.Optimal));

    private static byte[] Brotli(byte[] content) => Packed(content, target => new BrotliStream(target, CompressionLevel.Fastest));

    private static byte[] Packed(byte[] content, Func<Stream, Stream> coder)
    {
        using var packed = new MemoryStream();
        using (Stream stream = coder(packed))
        {
            stream.Write(content);
        }

        return packed.ToArray();
    }

    /// <summary>A file that is stored compressed. Ranges count compressed bytes, as in RFC 9110 section 14.2.</summary>
    private static Behaviour Compressed(byte[] packed, int? cutAfter = null, string coding = "gzip") => async exchange =>
    {
        await exchange.ReadBodyAsync();
        int from = exchange.Header("Range") is { } range ? int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture) : 0;
        if (from >= packed.Length)
        {
            await exchange.SendAsync($"HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */{packed.Length}\r\n\r\n");
            return;
        }

        string status = from > 0 ? $"206 Part\r\nContent-Range: bytes {from}-{packed.Length - 1}/{packed.Length}" : "200 OK";
        await exchange.SendAsync($"HTTP/1.1 {status}\r\nContent-Length: {packed.Length - from}\r\nContent-Encoding: {coding}\r\n\r\n");
        await exchange.SendAsync(packed.AsMemory(from, Math.Min(cutAfter ?? int.MaxValue, packed.Length - from)));
        if (cutAfter is not null)
        {
            exchange.Close();
        }
    };

    private async Task<byte[]> DownloadAsync()
    {
        string target = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        await Download.ToFileAsync(Clients.For(_server, _time), "f", target);
        return await File.ReadAllBytesAsync(target);
    }

    private async Task<int> ResultsAsync()
    {
        var done = new Batch { Id = "b", Status = BatchStatus.Completed, OutputFileId = "f" };
        return (await new ResultReader().ReadAsync(Clients.For(_server, _time), done).ToListAsync()).Count;
    }
}
