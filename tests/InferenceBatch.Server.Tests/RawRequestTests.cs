using System.Text;
using InferenceBatch.Server.Api;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Requests that HTTP clients do not send: invalid headers, incomplete requests, path traversal. All of them get JSON errors.</summary>
public sealed class RawRequestTests : IAsyncLifetime
{
    private const string Host = "Host: 127.0.0.1\r\n";

    private TestService _service = null!;

    public async Task InitializeAsync() => _service = await TestService.StartAsync();

    public async Task DisposeAsync() => await _service.DisposeAsync();

    [Theory]
    [InlineData("nonsense\r\n\r\n", 400, "invalid_http")]
    [InlineData("GET /v1/files HTTP/1.1\r\n\r\n", 400, "invalid_http")]
    [InlineData("GET /v1/files HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid_http")]
    [InlineData("GET /v1/files HTTP/1.1\r\n" + Host + "no colon\r\n\r\n", 400, "invalid_http")]
    [InlineData("GET /v1/files HTTP/1.1\r\n" + Host + "x: a\0b\r\n\r\n", 400, "invalid_http")]
    [InlineData("GET v1/files HTTP/1.1\r\n" + Host + "\r\n", 400, "invalid_http")]
    [InlineData("GET /v1/files/\x01 HTTP/1.1\r\n" + Host + "\r\n", 404, "not_found")]
    [InlineData("GET /v1/files HTTP/9.9\r\n" + Host + "\r\n", 505, "http_version_not_supported")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version_not_supported")]
    [InlineData("POST /v1/batches HTTP/1.1\r\n" + Host + "Content-Length: many\r\n\r\n", 400, "invalid_http")]
    [InlineData("POST /v1/batches HTTP/1.1\r\n" + Host + "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "invalid_http")]
    [InlineData("POST /v1/batches HTTP/1.1\r\n" + Host + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "invalid_http")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\n" + Host + "\r\n", 400, "invalid_http")]
    public async Task Invalid_http_gets_a_json_error(string request, int status, string code)
    {
        RawConnection.RawAnswer answer = await RawConnection.AskAsync(_service.Address, request);
        Assert.Equal((status, code), (answer.Status, answer.ErrorCode()));
    }

    [Theory]
    [InlineData("/v1/files/..", 404)]
    [InlineData("/v1/files/%2e%2e/%2e%2e/etc/passwd", 404)]
    [InlineData("/v1/files/..%2f..%2fdatabase.sqlite/content", 404)]
    [InlineData("/v1/files/..%5c..%5cx/content", 404)]
    [InlineData("/v1/files/%252e%252e%252fx/content", 404)]
    [InlineData("/v1/files//content", 404)]
    [InlineData("/v1/files/%00/content", 400)]
    [InlineData("/v1/files/a%00b", 400)]
    [InlineData("/v1/files/%ff%fe/content", 404)]
    [InlineData("/v1/files/%c0%ae%c0%ae/content", 404)]
    [InlineData("/v1/files/%ed%a0%80", 404)]
    [InlineData("/v1/files/%0d%0aX-Injected:%201", 404)]
    [InlineData("/v1/files/*", 404)]
    [InlineData("/v1/files/' OR 1=1 --", 400)]
    [InlineData("/v1/files/'%20OR%201=1%20--", 404)]
    [InlineData("/v1/batches/..%2f..", 404)]
    [InlineData("/v1/batches/%20", 404)]
    [InlineData("//v1/files", 404)]
    [InlineData("/V1/../../../files", 404)]
    public async Task Path_traversal_finds_nothing(string path, int status)
    {
        RawConnection.RawAnswer answer = await RawConnection.AskAsync(_service.Address, $"GET {path} HTTP/1.1\r\n{Host}\r\n");
        Assert.Equal(status, answer.Status);
        Assert.Contains(answer.ErrorCode(), new[] { "not_found", "unknown_url", "invalid_http" });
        Assert.DoesNotContain("X-Injected", answer.Headers.Keys);
    }

    [Fact]
    public async Task An_error_repeats_only_the_start_of_a_long_id()
    {
        RawConnection.RawAnswer answer = await RawConnection.AskAsync(_service.Address, $"GET /v1/files/{new string('x', 8_000)} HTTP/1.1\r\n{Host}\r\n");
        Assert.Equal("not_found", answer.ErrorCode());
        Assert.InRange(answer.Body.Length, 1, 400);
    }

    [Theory]
    [InlineData(300_000, 414)]
    [InlineData(20_000, 414)]
    public async Task A_url_without_end_is_414(int length, int status)
    {
        RawConnection.RawAnswer answer = await RawConnection.AskAsync(_service.Address, $"GET /{new string('x', length)} HTTP/1.1\r\n{Host}\r\n");
        Assert.Equal((status, "url_too_long"), (answer.Status, answer.ErrorCode()));
    }

    [Fact]
    public async Task Endless_headers_are_431()
    {
        using RawConnection connection = await RawConnection.OpenAsync(_service.Address);
        await connection.SendAsync(Encoding.ASCII.GetBytes($"GET /v1/files HTTP/1.1\r\n{Host}"));
        await connection.SendAsync(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 5_000).Select(i => $"x-{i}: {new string('y', 100)}\r\n"))));
        RawConnection.RawAnswer answer = await connection.ReadAsync();
        Assert.Equal((431, "headers_too_large"), (answer.Status, answer.ErrorCode()));
    }

    [Fact]
    public async Task Headers_that_never_end_are_408()
    {
        await using TestService service = await ImpatientAsync();
        using RawConnection connection = await RawConnection.OpenAsync(service.Address);
        await connection.SendAsync("GET /v1/files HTTP/1.1\r\nHost: "u8.ToArray());
        RawConnection.RawAnswer answer = await connection.ReadAsync();
        Assert.Equal((408, "request_timeout"), (answer.Status, answer.ErrorCode()));
        Assert.Equal("close", answer.Headers["Connection"]);
        Assert.True(await connection.IsClosedAsync());
    }

    [Theory]
    [InlineData("/v1/batches", "application/json", "{\"input_file_id\":")]
    [InlineData("/v1/files", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{}")]
    public async Task A_body_that_never_ends_is_408_and_leaves_nothing(string path, string type, string start)
    {
        await using TestService service = await ImpatientAsync();
        using RawConnection connection = await RawConnection.OpenAsync(service.Address);
        await connection.SendAsync(Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\n{Host}Content-Type: {type}\r\nContent-Length: 100000\r\n\r\n{start}"));
        RawConnection.RawAnswer answer = await connection.ReadAsync();
        Assert.Equal((408, "request_timeout"), (answer.Status, answer.ErrorCode()));
        Assert.True(await connection.IsClosedAsync());
        Assert.Empty(Directory.GetFiles(Path.Combine(service.DataPath, "temp")));
    }

    [Fact]
    public async Task A_client_that_does_not_read_the_response_is_disconnected()
    {
        const int Bytes = 24_000_000; // More than the system's buffers of a connection.
        await using TestService service = await ImpatientAsync();
        string id = await service.Api.UploadAsync(new byte[Bytes]);
        using RawConnection sleeper = await RawConnection.OpenAsync(service.Address, receiveBuffer: 4096);
        await sleeper.SendAsync(Encoding.ASCII.GetBytes($"GET /v1/files/{id}/content HTTP/1.1\r\n{Host}\r\n"));

        // The connections of HttpClient and of the sleeper reach the limit. A third is accepted once that of the sleeper is closed.
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        byte[] request = Encoding.ASCII.GetBytes($"GET /healthz HTTP/1.1\r\n{Host}\r\n");
        while (true)
        {
            using RawConnection third = await RawConnection.OpenAsync(service.Address);
            await third.SendAsync(request);
            if (!await third.IsClosedAsync())
            {
                break;
            }

            await Task.Delay(50, patience.Token);
        }

        Assert.InRange(await sleeper.CountRestAsync(), 0, Bytes - 1);
    }

    [Fact]
    public async Task An_invalid_request_after_a_valid_one_gets_its_own_response()
    {
        using RawConnection connection = await RawConnection.OpenAsync(_service.Address);
        await connection.SendAsync(Encoding.ASCII.GetBytes($"GET /healthz HTTP/1.1\r\n{Host}\r\nnonsense\r\n\r\n"));
        Assert.Equal(200, (await connection.ReadAsync()).Status);
        Assert.Equal("invalid_http", (await connection.ReadAsync()).ErrorCode());
        Assert.True(await connection.IsClosedAsync());
    }

    [Fact]
    public async Task A_connection_over_the_limit_is_closed_and_the_others_still_work()
    {
        await using TestService small = await TestService.StartAsync(settings => settings with { Connections = new ConnectionLimits { MaxConnections = 2 } });
        byte[] request = Encoding.ASCII.GetBytes($"GET /healthz HTTP/1.1\r\n{Host}\r\n");
        using RawConnection first = await RawConnection.OpenAsync(small.Address);
        using RawConnection second = await RawConnection.OpenAsync(small.Address);
        await first.SendAsync(request);
        await second.SendAsync(request);
        Assert.Equal((200, 200), ((await first.ReadAsync()).Status, (await second.ReadAsync()).Status));
        using RawConnection third = await RawConnection.OpenAsync(small.Address);
        await third.SendAsync(request);
        Assert.True(await third.IsClosedAsync());
        await first.SendAsync(request);
        Assert.Equal(200, (await first.ReadAsync()).Status);
    }

    private static Task<TestService> ImpatientAsync() => TestService.StartAsync(settings => settings with
    {
        Connections = new ConnectionLimits
        {
            MaxConnections = 2,
            HeadTimeout = TimeSpan.FromSeconds(1),
            MinBytesPerSecond = 1_000_000,
            MinReadBytesPerSecond = 1_000_000,
            SlowGrace = TimeSpan.FromSeconds(1.1),
        },
    });
}
