using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class ValidationTests
{
    [Fact]
    public async Task A_failed_batch_lists_each_bad_line()
    {
        await using TestService service = await TestService.StartAsync();
        string file = string.Join('\n',
            Requests.Chat("a", "good"),
            "{not json",
            "",
            """{"method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}""",
            Requests.Chat("a", "twice"),
            Requests.Chat("b", "elsewhere", "/v1/embeddings"),
            """{"custom_id":"c","method":"POST","url":"/v1/chat/completions","body":{"model":"m","stream":true}}""",
            "{\"custom_id\":\"\\ud800\"}");
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(file));
        Assert.Equal("failed", batch.GetProperty("status").GetString());
        Assert.True(batch.GetProperty("failed_at").GetInt64() > 0);
        Assert.Equal(JsonValueKind.Null, batch.GetProperty("output_file_id").ValueKind);
        Assert.Equal("list", batch.GetProperty("errors").GetProperty("object").GetString());
        Assert.Equal(
            [(2, "invalid_json_line"), (4, "missing_required_parameter"), (5, "duplicate_custom_id"), (6, "invalid_url"), (7, "streaming_unsupported"), (8, "invalid_encoding")],
            Errors(batch));
        JsonElement missing = batch.GetProperty("errors").GetProperty("data")[1];
        Assert.Equal("custom_id", missing.GetProperty("param").GetString());
        Assert.Equal("Missing required parameter: 'custom_id'.", missing.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Every_bad_line_is_an_error()
    {
        await using TestService service = await TestService.StartAsync();
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(string.Concat(Enumerable.Repeat("x\n", 2000))));
        Assert.Equal(Enumerable.Range(1, 2000), Errors(batch).Select(error => error.Line!.Value));
    }

    [Theory]
    [InlineData("", "empty_file")]
    [InlineData("\n \n", "empty_file")]
    public async Task A_file_without_requests_fails(string content, string code)
    {
        await using TestService service = await TestService.StartAsync();
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(content));
        Assert.Equal([(null, code)], Errors(batch));
    }

    [Fact]
    public async Task Too_many_requests_fail_the_batch()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { Engine = new EngineSettings { MaxRequests = 2 } });
        Assert.Equal("completed", (await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(2)))).GetProperty("status").GetString());
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(3)));
        Assert.Equal([(null, "request_limit_exceeded")], Errors(batch));
    }

    [Fact]
    public async Task Byte_order_mark_CRLF_and_blank_lines_are_accepted()
    {
        await using TestService service = await TestService.StartAsync();
        byte[] file = [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes($"{Requests.Chat("a", "1")}\r\n\r\n{Requests.Chat("b", "2")}")];
        string id = (await service.Api.CreateAsync(await service.Api.UploadAsync(file))).GetProperty("id").GetString()!;
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal(2, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
    }

    [Fact]
    public async Task UTF_16_is_refused()
    {
        await using TestService service = await TestService.StartAsync();
        byte[] file = [.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes(Requests.File(1))];
        string id = (await service.Api.CreateAsync(await service.Api.UploadAsync(file))).GetProperty("id").GetString()!;
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal([(1, "invalid_encoding")], Errors(batch));
    }

    private static IEnumerable<(int? Line, string? Code)> Errors(JsonElement batch) =>
        batch.GetProperty("errors").GetProperty("data").EnumerateArray().Select(error =>
            (error.GetProperty("line").ValueKind == JsonValueKind.Null ? (int?)null : error.GetProperty("line").GetInt32(), error.GetProperty("code").GetString()));
}
