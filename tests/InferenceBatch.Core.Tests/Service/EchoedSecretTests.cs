using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Support;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Service;

/// <summary>A service that returns the key, or another secret that was sent to it, wherever it can.</summary>
public sealed class EchoedSecretTests : IDisposable
{
    /// <summary>The number of consecutive characters of the key or the header that no output may contain.</summary>
    private const int Recognizable = 12;

    private static readonly string s_key = "sk-proj-" + Guid.NewGuid().ToString("N") + Guid.NewGuid().ToString("N");
    private static readonly string s_token = "gateway-" + Guid.NewGuid().ToString("N");
    private static readonly Dictionary<string, string> s_headers = new() { ["X-Gateway"] = s_token };

    private readonly FaultServer _server = new();

    public static TheoryData<string, string> Echoes => new()
    {
        { "the key", s_key },
        { "the key's start", s_key[..20] },
        { "the key's end", s_key[^12..] },
        { "a header", s_token },
        { "the bearer token", "Authorization: Bearer " + s_key },
        { "a URL", "https://example.org/?key=" + s_key + "&x=1" },
        { "base64", Convert.ToBase64String(Encoding.UTF8.GetBytes("user:" + s_key)) },
    };

    public void Dispose() => _server.Dispose();

    [Theory]
    [MemberData(nameof(Echoes))]
    public async Task An_error_contains_no_secret_in_any_form(string what, string echo)
    {
        string[] bodies =
        [
            $$"""{"error":{"message":"Incorrect API key provided: {{echo}}.","type":"invalid_request_error","code":"invalid_api_key"} }""",
            $$"""{"error":{"message":"no","code":"{{echo}}","param":"{{echo}}"} }""",
            $$"""{"error":"{{echo}}"}""",
            $$"""{"detail":[{"loc":["header"],"input":"{{echo}}"}]}""",
            $$"""{"message":"{{echo}}"}""",
            $"\"{echo}\"",
            $"<html>{echo}</html>",
        ];
        BatchClient client = ClientFor(_server);
        int id = 0;
        foreach (string body in bodies)
        {
            foreach (int status in new[] { 400, 401, 403, 404, 422, 501 })
            {
                _server.On($"GET /v1/batches/{++id}", Answer.Json(body, status, "x-request-id: " + echo));
                ServiceException exception = await Clients.FailsAsync(client.GetBatchAsync($"{id}"));
                AssertNone(exception + JsonSerializer.Serialize(exception.Error) + exception.RequestId, $"{what}: {status} {body}");
            }
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 {0} OK\r\n\r\n")]
    [InlineData("HTTP/9.{0}\r\n\r\n")]
    [InlineData("{0}\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: {0}\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\n{0}\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{0}\r\n")]
    public async Task A_response_that_is_not_HTTP_contains_no_secret(string answer)
    {
        _server.On("GET /v1/batches/b", async exchange =>
        {
            await exchange.ReadBodyAsync();
            await exchange.SendAsync(string.Format(null, answer, s_key));
            exchange.Close();
        });
        ServiceException exception = await Clients.FailsAsync(ClientFor(_server).GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, exception.Kind);
        AssertNone(exception.ToString(), answer);
    }

    [Theory]
    [MemberData(nameof(Echoes))]
    public async Task A_batch_and_a_file_contain_no_secret(string what, string echo)
    {
        _server.On("GET /v1/batches/b", Answer.Json($$"""
            {"id":"b","status":"failed: {{echo}}","x":"{{echo}}","errors":{"data":[{"code":"{{echo}}","message":"key {{echo}}","param":"{{echo}}","line":1}]},"metadata":{"echo":"{{echo}}"} }
            """));
        _server.On("GET /v1/files/f", Answer.Json($$"""{"id":"f","status":"{{echo}}","status_details":"{{echo}}"}"""));
        _server.On("GET /v1/batches", Answer.Json($$"""{"data":[{"id":"b","status":"failed","errors":"{{echo}}"}],"has_more":false}"""));
        BatchClient client = ClientFor(_server);
        Batch batch = await client.GetBatchAsync("b");
        AssertNone(batch.Json + batch.RawStatus + string.Join(' ', batch.Errors), what);
        Assert.Equal("b", JsonDocument.Parse(batch.Json).RootElement.GetProperty("id").GetString());
        BatchFile file = await client.GetFileAsync("f");
        AssertNone(file.Json + file.Status, what);
        Batch listed = Assert.Single(await client.ListBatchesAsync().ToListAsync());
        AssertNone(listed.Json + listed.Errors[0], what);
    }

    [Theory]
    [MemberData(nameof(Echoes))]
    public async Task A_result_contains_no_secret_and_keeps_its_ID(string what, string echo)
    {
        string[] lines =
        [
            $$"""{"custom_id":"a {{echo}}","response":{"status_code":401,"body":{"error":{"message":"Incorrect key {{echo}}","code":"{{echo}}"} } },"error":null}""",
            $$"""{"custom_id":"b","response":null,"error":{"message":"{{echo}}","code":"x"} }""",
            $$"""{"custom_id":"c","response":{"status_code":500,"body":"{{echo}}"} }""",
            $$"""{"custom_id":"d","response":{"status_code":200,"body":{"choices":[{"message":{"content":"\n{{echo}}\n"},"finish_reason":"{{echo}}"}],"model":"{{echo}}"} } }""",
            $$"""{"custom_id":"e","response":{"status_code":400,"body":"{\"error\":{\"message\":\"{{echo}}\"} }"} }""",
        ];
        _server.On("GET /v1/batches/b", Answer.Json("""{"id":"b","status":"completed","output_file_id":"o"}"""));
        _server.On("GET /v1/files/o/content", Answer.File(Encoding.UTF8.GetBytes(string.Join('\n', lines))));
        BatchClient client = ClientFor(_server);
        List<BatchResult> results = await new ResultReader().ReadAsync(client, await client.GetBatchAsync("b")).ToListAsync();
        Assert.Equal([$"a {echo}", "b", "c", "d", "e"], results.Select(result => result.CustomId));
        foreach (BatchResult result in results)
        {
            AssertNone(result.Json + result.Text + result.Error + result.Error?.Param + result.FinishReason + result.Model, $"{what}: {result.Json}");
            Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(result.Json).RootElement.ValueKind);
        }
    }

    [Theory]
    [MemberData(nameof(Echoes))]
    public void A_webhook_contains_no_secret(string what, string echo)
    {
        _ = ClientFor(_server);
        WebhookEvent read = WebhookEvent.Read(Encoding.UTF8.GetBytes($$"""{"type":"batch.failed {{echo}}","data":{"id":"b","reason":"{{echo}}"} }"""));
        Assert.Equal("b", read.BatchId);
        AssertNone(read.Json + read, what);
    }

    [Fact]
    public void The_webhook_secret_is_masked()
    {
        string secret = "whsec_" + Convert.ToBase64String(Guid.NewGuid().ToByteArray());
        _ = new WebhookSignature(secret);
        Assert.DoesNotContain(secret[6..], WebhookEvent.Read(Encoding.UTF8.GetBytes($"{{\"secret\":\"{secret[6..]}\"}}")).Json, StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_from_the_environment_are_masked()
    {
        string key = "sk-" + Guid.NewGuid().ToString("N");
        _ = new ConnectionResolver(name => name == "GROQ_API_KEY" ? key : null).Resolve(null, null, "Groq", null);
        Assert.DoesNotContain(key, new ServiceException(ServiceErrorKind.Unauthorized, $"Wrong: {key}").Message, StringComparison.Ordinal);
    }

    private static BatchClient ClientFor(FaultServer server) =>
        new(new ServiceConnection(server.BaseUri, ServiceProfile.Generic, s_key, s_headers), new FakeTime());

    private static void AssertNone(string text, string where)
    {
        foreach (string secret in new[] { s_key, s_token })
        {
            for (int start = 0; start + Recognizable <= secret.Length; start++)
            {
                Assert.False(text.Contains(secret.Substring(start, Recognizable), StringComparison.Ordinal), $"{where}: {text}");
            }
        }
    }
}
