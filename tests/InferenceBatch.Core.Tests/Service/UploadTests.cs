using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>POST /files: the multipart form on the wire.</summary>
public sealed class UploadTests : IDisposable
{
    private const string Uploaded = """{"id":"file-1","object":"file","bytes":3}""";

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"upload-{Guid.NewGuid():N}.jsonl");

    public void Dispose()
    {
        _server.Dispose();
        File.Delete(_path);
    }

    [Fact]
    public async Task The_form_contains_the_purpose_and_the_bytes_of_the_file()
    {
        byte[] content = WriteFile(300_000);
        _server.On("POST /v1/files", Answer.Json(Uploaded));
        BatchFile file = await Clients.For(_server, _time).UploadFileAsync(_path, "input.jsonl");
        Assert.Equal("file-1", file.Id);
        Exchange request = Assert.Single(_server.Requests);
        Assert.Equal(request.Body.Length.ToString(System.Globalization.CultureInfo.InvariantCulture), request.Header("Content-Length"));
        List<(string Head, byte[] Body)> parts = Parts(request);
        Assert.Equal(2, parts.Count);
        Assert.Equal("Content-Disposition: form-data; name=\"purpose\"", parts[0].Head);
        Assert.Equal("batch", Encoding.ASCII.GetString(parts[0].Body));
        Assert.StartsWith("Content-Disposition: form-data; name=\"file\"; filename=\"input.jsonl\"\r\n", parts[1].Head, StringComparison.Ordinal);
        Assert.True(parts[1].Body.AsSpan().SequenceEqual(content));
    }

    [Fact]
    public async Task Bytes_before_the_offset_are_not_sent()
    {
        byte[] content = WriteFile(300_000);
        _server.On("POST /v1/files", Answer.Html(503), Answer.Json(Uploaded));
        var seen = new Seen();
        await Clients.For(_server, _time).UploadFileAsync(_path, "input.jsonl", progress: seen, offset: 3);
        Exchange request = _server.Requests[1];
        Assert.Equal(request.Body.Length.ToString(System.Globalization.CultureInfo.InvariantCulture), request.Header("Content-Length"));
        Assert.True(Parts(request)[1].Body.AsSpan().SequenceEqual(content.AsSpan(3)));
        Assert.Equal(content.Length - 3, seen.Values[^1]);
    }

    [Fact]
    public async Task The_target_of_a_link_is_sent()
    {
        byte[] content = WriteFile(1000);
        string link = _path + ".link";
        File.CreateSymbolicLink(link, _path);
        try
        {
            _server.On("POST /v1/files", Answer.Json(Uploaded));
            await Clients.For(_server, _time).UploadFileAsync(link, "input.jsonl");
        }
        finally
        {
            File.Delete(link);
        }

        Assert.True(Parts(Assert.Single(_server.Requests))[1].Body.AsSpan().SequenceEqual(content));
    }

    [Fact]
    public async Task An_empty_file_is_sent()
    {
        WriteFile(0);
        _server.On("POST /v1/files", Answer.Json(Uploaded));
        await Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl");
        Assert.Empty(Parts(Assert.Single(_server.Requests))[1].Body);
    }

    [Theory]
    [InlineData("input.jsonl", "input.jsonl")]
    [InlineData("input.txt", "input.txt.jsonl")]
    [InlineData("input", "input.jsonl")]
    [InlineData("INPUT.JSONL", "INPUT.JSONL.jsonl")]
    [InlineData("my file (1).jsonl", "my file _1_.jsonl")]
    [InlineData("a\"b\\c\r\nd.jsonl", "a_b_c__d.jsonl")]
    [InlineData("Grüße😀.jsonl", "Gr__e__.jsonl")]
    [InlineData("../../etc/passwd", ".._.._etc_passwd.jsonl")]
    public async Task The_name_is_plain_ASCII_and_ends_in_jsonl(string name, string sent)
    {
        WriteFile(10);
        _server.On("POST /v1/files", Answer.Json(Uploaded));
        await Clients.For(_server, _time).UploadFileAsync(_path, name);
        string head = Parts(Assert.Single(_server.Requests))[1].Head;
        Assert.Contains($"filename=\"{sent}\"", head, StringComparison.Ordinal);
        Assert.DoesNotContain("filename*", head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Expiry_and_the_fields_of_the_profile_precede_the_file()
    {
        WriteFile(10);
        _server.On("POST /v1/files/upload", Answer.Json(Uploaded));
        await Clients.For(_server, _time, ServiceProfile.Find("Together")).UploadFileAsync(_path, "a.jsonl", expiresAfter: 3600);
        List<(string Head, byte[] Body)> parts = Parts(Assert.Single(_server.Requests));
        Assert.Equal(
            ["purpose batch-api", "file_name a.jsonl", "file_type jsonl", "expires_after[anchor] created_at", "expires_after[seconds] 3600"],
            parts[..^1].Select(part => part.Head.Split('"')[1] + " " + Encoding.ASCII.GetString(part.Body)));
        Assert.Contains("name=\"file\"", parts[^1].Head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Progress_counts_all_bytes_of_the_file()
    {
        WriteFile(1_000_000);
        _server.On("POST /v1/files", Answer.Json(Uploaded));
        var seen = new Seen();
        await Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl", progress: seen);
        Assert.Equal(seen.Values.Order(), seen.Values);
        Assert.Equal(1_000_000, seen.Values[^1]);
        Assert.True(seen.Values.Count > 3);
    }

    [Fact]
    public async Task A_broken_upload_restarts()
    {
        byte[] content = WriteFile(5_000_000);
        _server.On("POST /v1/files", Answer.DropInRequest(100_000), Answer.Html(502), Answer.Json(Uploaded));
        var seen = new Seen();
        await Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl", progress: seen);
        Assert.Equal(3, _server.Requests.Count);
        Assert.True(Parts(_server.Requests[2])[1].Body.AsSpan().SequenceEqual(content));
        Assert.Equal(content.Length, seen.Values[^1]);
    }

    /// <summary>A server may refuse a request after the headers. Its message is more useful than "broken pipe".</summary>
    [Theory]
    [InlineData(401, ServiceErrorKind.Unauthorized)]
    [InlineData(413, ServiceErrorKind.ServiceRejected)]
    public async Task A_refusal_before_the_body_is_reported(int status, ServiceErrorKind kind)
    {
        WriteFile(20_000_000);
        _server.On("POST /v1/files", Answer.Early(status, """{"error":{"message":"Not this."}}"""));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl"));
        Assert.Equal(kind, exception.Kind);
        Assert.Contains("Not this.", exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task A_server_without_100_continue_gets_the_body_at_once()
    {
        byte[] content = WriteFile(3_000_000);
        _server.On("POST /v1/files", Answer.Early(417, ""), Answer.Json(Uploaded));
        await Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl");
        Assert.Equal(["100-continue", null], _server.Requests.Select(request => request.Header("Expect")));
        Assert.Equal(content.Length, Parts(_server.Requests[1])[1].Body.Length);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task A_file_that_shrinks_during_the_upload_is_refused()
    {
        WriteFile(30_000_000);
        _server.On("POST /v1/files", async exchange =>
        {
            await exchange.ReadBodyAsync(1_000);
            using (var file = new FileStream(_path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            {
                file.SetLength(20_000_000);
            }

            await exchange.ReadBodyAsync(29_000_000);
        });
        await Assert.ThrowsAsync<FileChangedException>(() => Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl"));
        Assert.Single(_server.Requests);
    }

    [Theory]
    [InlineData(30_000_000)] // The same length, but other content.
    [InlineData(30_000_001)]
    public async Task A_file_that_changes_during_the_upload_is_refused(int lengthAfter)
    {
        WriteFile(30_000_000);
        _server.On("POST /v1/files", async exchange =>
        {
            await exchange.ReadBodyAsync(1_000);
            await using (var file = new FileStream(_path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            {
                file.SetLength(lengthAfter);
                file.Position = 29_999_000;
                file.WriteByte(1);
            }

            await exchange.ReadBodyAsync();
            await exchange.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        });
        FileChangedException exception = await Assert.ThrowsAsync<FileChangedException>(() => Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl"));
        Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task A_file_deleted_between_two_attempts_is_reported_as_missing()
    {
        WriteFile(10);
        _server.On("POST /v1/files", async exchange =>
        {
            File.Delete(_path);
            await Answer.Html(502)(exchange);
        });
        FileNotFoundException exception = await Assert.ThrowsAsync<FileNotFoundException>(() => Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl"));
        Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task A_file_replaced_between_two_attempts_is_sent_with_its_new_content()
    {
        WriteFile(10);
        _server.On(
            "POST /v1/files",
            async exchange =>
            {
                await File.WriteAllTextAsync(_path + ".new", "other");
                File.Move(_path + ".new", _path, overwrite: true);
                await Answer.Html(502)(exchange);
            },
            Answer.Json(Uploaded));
        await Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl");
        Assert.Equal("other", Encoding.ASCII.GetString(Parts(_server.Requests[1])[1].Body));
    }

    [Fact]
    public async Task A_missing_file_is_reported()
    {
        await Assert.ThrowsAsync<FileNotFoundException>(() => Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl"));
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task A_locked_file_is_not_a_network_error()
    {
        WriteFile(10);
        using var held = new FileStream(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        FileUnreadableException exception = await Assert.ThrowsAsync<FileUnreadableException>(
            () => Clients.For(_server, _time).UploadFileAsync(_path, "a.jsonl"));
        Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        Assert.Empty(_time.Waits);
    }

    private byte[] WriteFile(int length)
    {
        byte[] content = new byte[length];
        new Random(5).NextBytes(content);
        File.WriteAllBytes(_path, content);
        return content;
    }

    /// <summary>The parts of a form, read according to RFC 7578 and RFC 2046.</summary>
    private static List<(string Head, byte[] Body)> Parts(Exchange request)
    {
        string type = request.Header("Content-Type")!;
        Assert.StartsWith("multipart/form-data; boundary=", type, StringComparison.Ordinal);
        byte[] between = Encoding.ASCII.GetBytes("\r\n--" + type[(type.IndexOf('=', StringComparison.Ordinal) + 1)..].Trim('"'));
        byte[] body = [.. "\r\n"u8, .. request.Body];
        var parts = new List<(string, byte[])>();
        int at = between.Length;
        Assert.True(body.AsSpan().StartsWith(between));
        while (!body.AsSpan(at).StartsWith("--"u8))
        {
            Assert.True(body.AsSpan(at).StartsWith("\r\n"u8));
            int headEnd = at + body.AsSpan(at).IndexOf("\r\n\r\n"u8);
            int end = at + body.AsSpan(at).IndexOf(between);
            parts.Add((Encoding.UTF8.GetString(body, at + 2, headEnd - at - 2), body[(headEnd + 4)..end]));
            at = end + between.Length;
        }

        Assert.Equal("--\r\n", Encoding.ASCII.GetString(body, at, body.Length - at));
        return parts;
    }

    private sealed class Seen : IProgress<long>
    {
        public List<long> Values { get; } = [];

        public void Report(long value) => Values.Add(value);
    }
}
