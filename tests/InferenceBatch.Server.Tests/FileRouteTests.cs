using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class FileRouteTests : IAsyncLifetime
{
    private TestService _service = null!;
    private ApiCaller _api = null!;

    public async Task InitializeAsync()
    {
        _service = await TestService.StartAsync(settings => settings with { Engine = new EngineSettings { MaxFileBytes = 1_000_000 } });
        _api = _service.Api;
    }

    public async Task DisposeAsync() => await _service.DisposeAsync();

    /// <summary>A failed disk is not an error of the caller, which would not retry a 400.</summary>
    [Fact]
    public async Task A_file_that_cannot_be_stored_is_507()
    {
        await using TestService service = await TestService.StartAsync();
        Directory.Delete(Path.Combine(service.DataPath, "temp"), recursive: true);
        using var form = new MultipartFormDataContent();
        using var purpose = new StringContent("batch");
        using var file = new StringContent(Requests.File(1));
        form.Add(purpose, "purpose");
        form.Add(file, "file", "in.jsonl");
        using HttpResponseMessage response = await service.Api.Http.PostAsync("files", form);
        Assert.Equal("storage_failed", (await ApiCaller.ReadAsync(response, 507)).GetProperty("error").GetProperty("code").GetString());
        Directory.CreateDirectory(Path.Combine(service.DataPath, "temp"));
    }

    [Fact]
    public async Task Upload_returns_the_documented_fields()
    {
        JsonElement file = await PostAsync(200, ("file", "in.jsonl", "{}\n"), ("purpose", null, "batch"));
        Assert.Equal(
            ["id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status"],
            file.EnumerateObject().Select(field => field.Name));
        Assert.StartsWith("file-", file.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("file", file.GetProperty("object").GetString());
        Assert.Equal(3, file.GetProperty("bytes").GetInt64());
        Assert.Equal("in.jsonl", file.GetProperty("filename").GetString());
        Assert.Equal("processed", file.GetProperty("status").GetString());
        Assert.Equal(JsonValueKind.Null, file.GetProperty("expires_at").ValueKind);
    }

    [Theory]
    [InlineData("in.txt", "batch", "file", "invalid_value")]
    [InlineData("in.jsonl", "fine-tune", "purpose", "invalid_value")]
    [InlineData("in.jsonl", "", "purpose", "missing_required_parameter")]
    public async Task An_invalid_upload_is_refused(string name, string purpose, string param, string code)
    {
        AssertError(await PostAsync(400, ("purpose", null, purpose), ("file", name, "{}\n")), param, code);
        AssertNothingKept();
    }

    [Fact]
    public async Task An_upload_without_a_file_is_refused() =>
        AssertError(await PostAsync(400, ("purpose", null, "batch")), "file", "missing_required_parameter");

    [Theory]
    [InlineData("../../etc/passwd.jsonl", "passwd.jsonl")]
    [InlineData("C:\\temp\\in.jsonl", "in.jsonl")]
    [InlineData("/tmp/in.jsonl", "in.jsonl")]
    public async Task A_name_never_becomes_a_path(string name, string shown)
    {
        JsonElement file = await PostAsync(200, ("purpose", null, "batch"), ("file", name, "{}\n"));
        Assert.Equal(shown, file.GetProperty("filename").GetString());
        Assert.Equal([file.GetProperty("id").GetString()], Directory.GetFiles(Path.Combine(_service.DataPath, "files")).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_long_name_of_emoji_is_cut_between_characters()
    {
        string name = string.Concat(Enumerable.Repeat("😀", 200)) + ".jsonl";
        string head = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
        using var form = new ByteArrayContent(Encoding.UTF8.GetBytes(head + name + "\"\r\n\r\n{}\n\r\n--b--\r\n"));
        form.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b");
        using HttpResponseMessage response = await _api.Http.PostAsync("files", form);
        string shown = (await ApiCaller.ReadAsync(response, 200)).GetProperty("filename").GetString()!;
        Assert.EndsWith(shown, name, StringComparison.Ordinal);
        Assert.StartsWith("😀", shown, StringComparison.Ordinal);
        await _api.GetAsync("files");
    }

    [Fact]
    public async Task An_upload_over_the_limit_is_413_before_it_is_sent_completely()
    {
        // A raw socket, because HttpClient reads a response only after it has sent the whole body.
        using var socket = new TcpClient();
        await socket.ConnectAsync(_service.Address.Host, _service.Address.Port);
        NetworkStream stream = socket.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
            + Chunk("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n")));
        byte[] chunk = Encoding.ASCII.GetBytes(Chunk(new string('x', 16 * 1024)));
        while (!stream.DataAvailable)
        {
            await stream.WriteAsync(chunk);
        }

        byte[] answer = new byte[2000];
        string text = Encoding.ASCII.GetString(answer, 0, await stream.ReadAsync(answer));
        Assert.StartsWith("HTTP/1.1 413 ", text, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"file_too_large\"", text, StringComparison.Ordinal);
        AssertNothingKept();
    }

    [Fact]
    public async Task A_content_length_over_the_limit_is_413()
    {
        AssertError(await PostAsync(413, ("purpose", null, "batch"), ("file", "in.jsonl", new string('x', 1_200_000))), "file", "file_too_large");
        AssertNothingKept();
    }

    [Fact]
    public async Task A_body_that_is_not_multipart_is_415()
    {
        using var content = new StringContent("{}", Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _api.Http.PostAsync("files", content);
        AssertError(await ApiCaller.ReadAsync(response, 415), null, "unsupported_media_type");
    }

    [Fact]
    public async Task A_multipart_body_that_ends_early_is_400()
    {
        using var content = new StringContent("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{}");
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b");
        using HttpResponseMessage response = await _api.Http.PostAsync("files", content);
        AssertError(await ApiCaller.ReadAsync(response, 400), null, "invalid_multipart");
        AssertNothingKept();
    }

    [Theory]
    [InlineData("3600", 200)]
    [InlineData("2592000", 200)]
    [InlineData("3599", 400)]
    [InlineData("2592001", 400)]
    [InlineData("soon", 400)]
    public async Task Expiry_must_be_within_its_limits(string seconds, int status)
    {
        JsonElement answer = await PostAsync(
            status, ("purpose", null, "batch"), ("file", "in.jsonl", "{}\n"),
            ("expires_after[anchor]", null, "created_at"), ("expires_after[seconds]", null, seconds));
        if (status == 200)
        {
            Assert.Equal(
                int.Parse(seconds, System.Globalization.CultureInfo.InvariantCulture),
                answer.GetProperty("expires_at").GetInt64() - answer.GetProperty("created_at").GetInt64());
        }
        else
        {
            AssertError(answer, "expires_after[seconds]", "invalid_value");
        }
    }

    [Fact]
    public async Task Content_returns_the_uploaded_bytes_or_a_range_of_them()
    {
        byte[] bytes = [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes("{\"a\":\"😀\"}\r\n\n{}")];
        string id = await _api.UploadAsync(bytes);
        Assert.Equal(bytes, await _api.Http.GetByteArrayAsync($"files/{id}/content"));
        Assert.Equal(bytes[5..9], await RangeAsync(id, "bytes=5-8", HttpStatusCode.PartialContent, $"bytes 5-8/{bytes.Length}"));
        Assert.Equal(bytes[10..], await RangeAsync(id, "bytes=10-", HttpStatusCode.PartialContent, $"bytes 10-{bytes.Length - 1}/{bytes.Length}"));
        Assert.Equal(bytes[^2..], await RangeAsync(id, "bytes=-2", HttpStatusCode.PartialContent, $"bytes {bytes.Length - 2}-{bytes.Length - 1}/{bytes.Length}"));
        await RangeAsync(id, "bytes=1000-", HttpStatusCode.RequestedRangeNotSatisfiable, $"bytes */{bytes.Length}");
        Assert.Equal("{}", await _api.Http.GetStringAsync($"files/{id}/content?offset=2"));
        Assert.Equal("", await _api.Http.GetStringAsync($"files/{id}/content?offset=9"));
    }

    [Fact]
    public async Task A_range_with_another_etag_returns_the_whole_file()
    {
        string id = await _api.UploadAsync("{}\n");
        using var request = new HttpRequestMessage(HttpMethod.Get, $"files/{id}/content");
        request.Headers.Range = RangeHeaderValue.Parse("bytes=1-");
        request.Headers.IfRange = RangeConditionHeaderValue.Parse("\"another\"");
        using HttpResponseMessage response = await _api.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("{}\n", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Lists_are_paged_in_both_orders()
    {
        string[] ids = [await _api.UploadAsync("1"), await _api.UploadAsync("2"), await _api.UploadAsync("3")];
        JsonElement first = await _api.GetAsync("files?limit=2");
        Assert.Equal([ids[2], ids[1]], Ids(first));
        Assert.True(first.GetProperty("has_more").GetBoolean());
        Assert.Equal(ids[1], first.GetProperty("last_id").GetString());
        JsonElement second = await _api.GetAsync($"files?limit=2&after={ids[1]}");
        Assert.Equal([ids[0]], Ids(second));
        Assert.False(second.GetProperty("has_more").GetBoolean());
        Assert.Equal(ids, Ids(await _api.GetAsync("files?order=asc")));
        Assert.Empty(Ids(await _api.GetAsync("files?purpose=batch_output")));
        AssertError(await _api.GetAsync("files?limit=0", 400), "limit", "invalid_value");
        AssertError(await _api.GetAsync("files?limit=10001", 400), "limit", "invalid_value");
        AssertError(await _api.GetAsync("files?order=up", 400), "order", "invalid_value");
        AssertError(await _api.GetAsync("files?after=file-none", 400), "after", "invalid_value");
    }

    [Fact]
    public async Task Delete_deletes_the_file_and_confirms_it()
    {
        string id = await _api.UploadAsync("{}\n");
        using HttpResponseMessage response = await _api.Http.DeleteAsync($"files/{id}");
        JsonElement answer = await ApiCaller.ReadAsync(response, 200);
        Assert.Equal($$"""{"id":"{{id}}","object":"file","deleted":true}""", answer.GetRawText());
        AssertError(await _api.GetAsync($"files/{id}", 404), "id", "not_found");
        AssertError(await _api.GetAsync($"files/{id}/content", 404), "id", "not_found");
        AssertNothingKept();
    }

    private async Task<JsonElement> PostAsync(int status, params (string Field, string? FileName, string Text)[] parts)
    {
        using var form = new MultipartFormDataContent();
        foreach ((string field, string? fileName, string text) in parts)
        {
            var content = new StringContent(text);
            if (fileName is null)
            {
                form.Add(content, field);
            }
            else
            {
                form.Add(content, field, fileName);
            }
        }

        using HttpResponseMessage response = await _api.Http.PostAsync("files", form);
        return await ApiCaller.ReadAsync(response, status);
    }

    private async Task<byte[]> RangeAsync(string id, string range, HttpStatusCode status, string contentRange)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"files/{id}/content");
        request.Headers.Range = RangeHeaderValue.Parse(range);
        using HttpResponseMessage response = await _api.Http.SendAsync(request);
        Assert.Equal(status, response.StatusCode);
        Assert.Equal(contentRange, response.Content.Headers.ContentRange?.ToString());
        return await response.Content.ReadAsByteArrayAsync();
    }

    private void AssertNothingKept()
    {
        Assert.Empty(Directory.GetFiles(Path.Combine(_service.DataPath, "files")));
        Assert.Empty(Directory.GetFiles(Path.Combine(_service.DataPath, "temp")));
    }

    private static IEnumerable<string?> Ids(JsonElement page) => page.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString());

    private static void AssertError(JsonElement answer, string? param, string code)
    {
        JsonElement error = answer.GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
    }

    private static string Chunk(string text) => $"{text.Length:x}\r\n{text}\r\n";
}
