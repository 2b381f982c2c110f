using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Each limit of docs/openapi.yaml: the maximum is accepted, and one more is refused.</summary>
public sealed class LimitTests : IAsyncLifetime
{
    private const int MaxFileBytes = 1_000_000;

    private TestService _service = null!;
    private ApiCaller _api = null!;

    public async Task InitializeAsync()
    {
        _service = await TestService.StartAsync(settings => settings with { Engine = new EngineSettings { MaxFileBytes = MaxFileBytes } });
        _api = _service.Api;
    }

    public async Task DisposeAsync() => await _service.DisposeAsync();

    [Fact]
    public void The_limits_of_files_are_the_documented_ones()
    {
        var settings = new EngineSettings();
        Assert.Equal((50_000, 209_715_200L, TimeSpan.FromHours(24)), (settings.MaxRequests, settings.MaxFileBytes, settings.CompletionWindow));
    }

    [Theory]
    [InlineData(16, 64, 512, 200)]
    [InlineData(17, 64, 512, 400)]
    [InlineData(16, 65, 512, 400)]
    [InlineData(16, 64, 513, 400)]
    [InlineData(0, 0, 0, 200)]
    public async Task Metadata(int pairs, int key, int value, int status)
    {
        // Counts characters, not UTF-16 units: an emoji is one.
        string Text(int length, string end) => string.Concat(Enumerable.Repeat("😀", Math.Max(0, length - end.Length))) + end;
        var metadata = Enumerable.Range(10, pairs).ToDictionary(i => Text(key, i.ToString(CultureInfo.InvariantCulture)), _ => Text(value, ""));
        await AssertCreateAsync(new { metadata }, status, "metadata");
    }

    [Theory]
    [InlineData(3600, 200)]
    [InlineData(2592000, 200)]
    [InlineData(3599, 400)]
    [InlineData(2592001, 400)]
    [InlineData(long.MaxValue, 400)]
    [InlineData(-3600, 400)]
    public async Task Expiry_of_results(long seconds, int status) =>
        await AssertCreateAsync(new { output_expires_after = new { anchor = "created_at", seconds } }, status, "output_expires_after.seconds");

    [Theory]
    [InlineData("https://example.com/", 2048, 200)]
    [InlineData("https://example.com/", 2049, 400)]
    [InlineData("http://example.com/", 100, 400)]
    [InlineData("file:///etc/passwd", 18, 400)]
    [InlineData("/hook", 5, 400)]
    [InlineData("https://", 8, 400)]
    public async Task Webhook_address(string start, int length, int status) =>
        await AssertCreateAsync(new { webhook_url = start.PadRight(length, 'x') }, status, "webhook_url");

    [Theory]
    [InlineData("batches?limit=1", 200)]
    [InlineData("batches?limit=100", 200)]
    [InlineData("batches?limit=0", 400)]
    [InlineData("batches?limit=101", 400)]
    [InlineData("batches?limit=-1", 400)]
    [InlineData("batches?limit=1e1", 400)]
    [InlineData("batches?limit=99999999999999999999", 400)]
    [InlineData("batches?limit=1&limit=2", 400)]
    [InlineData("files?limit=1", 200)]
    [InlineData("files?limit=10000", 200)]
    [InlineData("files?limit=0", 400)]
    [InlineData("files?limit=10001", 400)]
    public async Task Pages(string path, int status) => await _api.GetAsync(path, status);

    [Theory]
    [InlineData(MaxFileBytes, 200)]
    [InlineData(MaxFileBytes + 1, 413)]
    public async Task File_bytes(int bytes, int status) => await UploadAsync(status, file: new string('x', bytes));

    [Theory]
    [InlineData(14, 0, 200)]
    [InlineData(15, 0, 400)]
    [InlineData(1, 1024, 200)]
    [InlineData(1, 1025, 400)]
    public async Task Fields_of_an_upload(int more, int bytes, int status) =>
        await UploadAsync(status, more: [.. Enumerable.Range(0, more).Select(i => ($"x{i}", new string('y', bytes)))]);

    [Theory]
    [InlineData(255)]
    [InlineData(256)]
    public async Task File_names_are_cut_to_255_characters(int length)
    {
        JsonElement file = await UploadAsync(200, name: new string('n', length - 6) + ".jsonl");
        Assert.Equal(new string('n', Math.Min(length, 255) - 6) + ".jsonl", file.GetProperty("filename").GetString());
    }

    [Theory]
    [InlineData(0, 200)]
    [InlineData(1, 413)]
    public async Task Bytes_of_a_json_body(int past, int status)
    {
        string body = CreateBody(await _api.UploadAsync(Requests.File(1)), "\"x\":\"\"");
        await PostAsync(body.Replace("\"x\":\"\"", $"\"x\":\"{new string('y', (1024 * 1024) - body.Length + past)}\"", StringComparison.Ordinal), status);
    }

    [Theory]
    [InlineData(63, 200)] // 64 levels with the enclosing object.
    [InlineData(64, 400)]
    [InlineData(200_000, 400)]
    public async Task Depth_of_a_json_body(int depth, int status) =>
        await PostAsync(CreateBody(await _api.UploadAsync(Requests.File(1)), $"\"x\":{new string('[', depth)}{new string(']', depth)}"), status);

    [Theory]
    [InlineData("\"endpoint\":\"/v1/chat/completions\"")]
    [InlineData("\"x\":{\"a\":1,\"a\":2}")]
    [InlineData("\"metadata\":{\"k\":\"v\",\"\\u006b\":\"w\"}")]
    [InlineData("\"x\":1e")]
    [InlineData("\"x\":01")]
    [InlineData("\"x\":\"\0\"")]
    public async Task Duplicate_fields_and_invalid_json_are_400(string field) =>
        Assert.Equal("invalid_json", (await PostAsync(CreateBody(await _api.UploadAsync(Requests.File(1)), field), 400)).GetProperty("error").GetProperty("code").GetString());

    [Fact]
    public async Task Huge_numbers_do_no_harm()
    {
        string file = await _api.UploadAsync(Requests.File(1));
        await PostAsync(CreateBody(file, "\"x\":" + new string('9', 100_000)), 200);
        await PostAsync(CreateBody(file, "\"output_expires_after\":{\"anchor\":\"created_at\",\"seconds\":1e999999}"), 400);
    }

    [Fact]
    public async Task Names_in_lines()
    {
        Assert.Equal("completed", await EndAsync(Requests.Chat(new string('i', 512), "x")));
        Assert.Equal("string_above_max_length", await EndAsync(Requests.Chat(new string('i', 513), "x")));
    }

    [Fact]
    public async Task Bytes_of_a_line()
    {
        const int MaxLine = 16 * 1024 * 1024;
        await using TestService service = await TestService.StartAsync();
        string Line(int bytes) => Requests.Chat("a", new string('x', bytes - Requests.Chat("a", "").Length));
        Assert.Equal("completed", (await service.Api.EndAsync(await service.Api.SubmitAsync(Line(MaxLine)))).GetProperty("status").GetString());
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.Chat("b", "x") + "\n" + Line(MaxLine + 1)));
        JsonElement error = Assert.Single(batch.GetProperty("errors").GetProperty("data").EnumerateArray());
        Assert.Equal(("line_too_long", 2), (error.GetProperty("code").GetString(), error.GetProperty("line").GetInt32()));
    }

    [Fact]
    public async Task Errors_of_a_file_and_of_a_page()
    {
        JsonElement errors = (await _api.EndAsync(await _api.SubmitAsync(string.Concat(Enumerable.Repeat("x\n", 10_000))))).GetProperty("errors").GetProperty("data");
        Assert.Equal(10_000, errors.GetArrayLength());
        Assert.Equal("invalid_json_line", errors[9_999].GetProperty("code").GetString());

        string many = await _api.UploadAsync(string.Concat(Enumerable.Repeat("x\n", 12_345)));
        string[] batches = [await _api.SubmitAsync(Requests.File(1)), .. await Task.WhenAll(Enumerable.Range(0, 3).Select(async _ => (await _api.CreateAsync(many)).GetProperty("id").GetString()!))];
        foreach (string id in batches)
        {
            errors = (await _api.EndAsync(id)).GetProperty("errors");
        }

        errors = errors.GetProperty("data");
        Assert.Equal(10_001, errors.GetArrayLength());
        Assert.Equal("more_issues", errors[10_000].GetProperty("code").GetString());
        Assert.StartsWith("2,345 more", errors[10_000].GetProperty("message").GetString(), StringComparison.Ordinal);

        // The pages together list every batch.
        var listed = new List<string>();
        string after = "";
        int pages = 0;
        while (true)
        {
            JsonElement page = await _api.GetAsync("batches?limit=100" + after);
            pages++;
            listed.AddRange(page.GetProperty("data").EnumerateArray().Select(batch => batch.GetProperty("id").GetString()!));
            Assert.InRange(page.GetProperty("data").EnumerateArray().Sum(batch => batch.GetProperty("errors") is { ValueKind: JsonValueKind.Object } some ? some.GetProperty("data").GetArrayLength() : 0), 0, 20_000);
            if (!page.GetProperty("has_more").GetBoolean())
            {
                break;
            }

            after = "&after=" + page.GetProperty("last_id").GetString();
        }

        Assert.Equal(5, listed.Distinct().Count());
        Assert.Equal(5, listed.Count);
        Assert.Equal(batches.Order(), listed.SkipLast(1).Order());
        Assert.InRange(pages, 2, 4);
    }

    private async Task AssertCreateAsync(object more, int status, string param)
    {
        string fields = JsonSerializer.Serialize(more)[1..^1];
        JsonElement answer = await PostAsync(CreateBody(await _api.UploadAsync(Requests.File(1)), fields), status);
        if (status != 200)
        {
            Assert.Equal((param, "invalid_value"), (answer.GetProperty("error").GetProperty("param").GetString(), answer.GetProperty("error").GetProperty("code").GetString()));
        }
    }

    private async Task<string?> EndAsync(string line)
    {
        JsonElement batch = await _api.EndAsync(await _api.SubmitAsync(line));
        return batch.GetProperty("errors") is { ValueKind: JsonValueKind.Object } errors
            ? Assert.Single(errors.GetProperty("data").EnumerateArray()).GetProperty("code").GetString()
            : batch.GetProperty("status").GetString();
    }

    private static string CreateBody(string file, string more) =>
        $$"""{"input_file_id":"{{file}}","endpoint":"/v1/chat/completions","completion_window":"24h",{{more}}}""";

    private async Task<JsonElement> PostAsync(string body, int status)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _api.Http.PostAsync("batches", content);
        return await ApiCaller.ReadAsync(response, status);
    }

    private async Task<JsonElement> UploadAsync(
        int status, string file = "{}\n", string name = "in.jsonl", params (string Name, string Value)[] more)
    {
        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new StringContent(file), "file", name },
        };
        foreach ((string field, string value) in more)
        {
            form.Add(new StringContent(value), field);
        }

        using HttpResponseMessage response = await _api.Http.PostAsync("files", form);
        return await ApiCaller.ReadAsync(response, status);
    }
}
