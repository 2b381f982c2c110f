using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class BatchRouteTests : IAsyncLifetime
{
    private TestService _service = null!;
    private ApiCaller _api = null!;

    public async Task InitializeAsync()
    {
        _service = await TestService.StartAsync();
        _api = _service.Api;
    }

    public async Task DisposeAsync() => await _service.DisposeAsync();

    [Fact]
    public async Task Create_returns_a_validating_batch_with_the_documented_fields()
    {
        string file = await _api.UploadAsync(Requests.File(2));
        JsonElement batch = await _api.CreateAsync(file);
        Assert.Equal("batch", batch.GetProperty("object").GetString());
        Assert.Equal("validating", batch.GetProperty("status").GetString());
        Assert.Equal(file, batch.GetProperty("input_file_id").GetString());
        Assert.Equal("24h", batch.GetProperty("completion_window").GetString());
        Assert.Equal(24 * 3600, batch.GetProperty("expires_at").GetInt64() - batch.GetProperty("created_at").GetInt64());
        foreach (string absent in new[] { "errors", "output_file_id", "error_file_id", "in_progress_at", "completed_at", "failed_at", "expired_at", "metadata" })
        {
            Assert.Equal(JsonValueKind.Null, batch.GetProperty(absent).ValueKind);
        }

        Assert.Equal("""{"total":0,"completed":0,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
    }

    [Fact]
    public async Task A_completed_batch_has_its_lines_counts_and_usage()
    {
        JsonElement batch = await _api.EndAsync(await _api.SubmitAsync(Requests.File(3)));
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal("test-model", batch.GetProperty("model").GetString());
        Assert.Equal("""{"total":3,"completed":3,"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(JsonValueKind.Null, batch.GetProperty("error_file_id").ValueKind);
        List<JsonElement> lines = await _api.LinesAsync(batch.GetProperty("output_file_id"));
        Assert.Equal(["r-1", "r-2", "r-3"], lines.Select(line => line.GetProperty("custom_id").GetString()!).Order());
        Assert.All(lines, line =>
        {
            Assert.Equal(["id", "custom_id", "response", "error"], line.EnumerateObject().Select(field => field.Name));
            Assert.StartsWith("batch_req_", line.GetProperty("id").GetString(), StringComparison.Ordinal);
            Assert.Equal(200, line.GetProperty("response").GetProperty("status_code").GetInt32());
            Assert.Equal(JsonValueKind.Null, line.GetProperty("error").ValueKind);
        });
        Assert.Equal(3, lines.Select(line => line.GetProperty("id").GetString()).Distinct().Count());
        long total = lines.Sum(line => line.GetProperty("response").GetProperty("body").GetProperty("usage").GetProperty("total_tokens").GetInt64());
        Assert.Equal(total, batch.GetProperty("usage").GetProperty("total_tokens").GetInt64());
    }

    [Theory]
    [InlineData("""{"endpoint":"/v1/chat/completions","completion_window":"24h"}""", "input_file_id", "missing_required_parameter")]
    [InlineData("""{"input_file_id":"FILE","completion_window":"24h"}""", "endpoint", "missing_required_parameter")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions"}""", "completion_window", "missing_required_parameter")]
    [InlineData("""{"input_file_id":7,"endpoint":"/v1/chat/completions","completion_window":"24h"}""", "input_file_id", "invalid_type")]
    [InlineData("""{"input_file_id":"file-none","endpoint":"/v1/chat/completions","completion_window":"24h"}""", "input_file_id", "file_not_found")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/images","completion_window":"24h"}""", "endpoint", "invalid_value")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"48h"}""", "completion_window", "invalid_value")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":["a"]}""", "metadata", "invalid_type")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":1}}""", "metadata", "invalid_type")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"KEY65":"v"}}""", "metadata", "invalid_value")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","webhook_url":"http://example.com/"}""", "webhook_url", "invalid_value")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"created_at","seconds":60}}""", "output_expires_after.seconds", "invalid_value")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"now","seconds":3600}}""", "output_expires_after.anchor", "invalid_value")]
    [InlineData("[1]", null, "invalid_json")]
    [InlineData("{", null, "invalid_json")]
    public async Task Invalid_values_are_refused_at_once(string body, string? param, string code)
    {
        string file = await _api.UploadAsync(Requests.File(1));
        body = body.Replace("FILE", file, StringComparison.Ordinal).Replace("KEY65", new string('k', 65), StringComparison.Ordinal);
        JsonElement error = (await PostAsync(body, 400)).GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(0, (await _api.GetAsync("batches")).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Everything_that_the_document_allows_is_accepted()
    {
        string file = await _api.UploadAsync(Requests.File(1));
        var metadata = Enumerable.Range(0, 16).ToDictionary(i => $"{i}".PadLeft(64, 'k'), _ => new string('v', 512));
        using HttpResponseMessage response = await _api.Http.PostAsJsonAsync("batches", new
        {
            input_file_id = file,
            endpoint = "/v1/chat/completions",
            completion_window = "24h",
            metadata,
            webhook_url = "https://example.com/hook",
            output_expires_after = new { anchor = "created_at", seconds = 3600 },
        });
        JsonElement batch = await _api.EndAsync((await ApiCaller.ReadAsync(response, 200)).GetProperty("id").GetString()!);
        Assert.Equal(metadata, batch.GetProperty("metadata").EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetString()!));
        JsonElement output = await _api.GetAsync($"files/{batch.GetProperty("output_file_id").GetString()}");
        Assert.Equal(3600, output.GetProperty("expires_at").GetInt64() - output.GetProperty("created_at").GetInt64());
    }

    [Fact]
    public async Task A_result_file_cannot_be_an_input_file()
    {
        JsonElement batch = await _api.EndAsync(await _api.SubmitAsync(Requests.File(1)));
        string body = $$"""{"input_file_id":{{batch.GetProperty("output_file_id").GetRawText()}},"endpoint":"/v1/chat/completions","completion_window":"24h"}""";
        Assert.Equal("input_file_id", (await PostAsync(body, 400)).GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task Unknown_batches_are_404_and_finished_batches_cannot_be_cancelled()
    {
        Assert.Equal("not_found", (await _api.GetAsync("batches/batch_none", 404)).GetProperty("error").GetProperty("code").GetString());
        await _api.CancelAsync("batch_none", 404);
        string id = await _api.SubmitAsync(Requests.File(1));
        await _api.EndAsync(id);
        JsonElement error = (await _api.CancelAsync(id, 409)).GetProperty("error");
        Assert.Equal("Cannot cancel a batch with status 'completed'.", error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("batches?limit=0", "limit")]
    [InlineData("batches?limit=101", "limit")]
    [InlineData("batches?limit=x", "limit")]
    [InlineData("batches?after=batch_none", "after")]
    public async Task Invalid_paging_is_refused(string path, string param) =>
        Assert.Equal(param, (await _api.GetAsync(path, 400)).GetProperty("error").GetProperty("param").GetString());

    [Theory]
    [InlineData("GET", "/v1/nothing", 404, "unknown_url")]
    [InlineData("GET", "/v1", 404, "unknown_url")]
    [InlineData("GET", "/v1/batches/", 404, "unknown_url")]
    [InlineData("GET", "/v1/files/", 404, "unknown_url")]
    [InlineData("PUT", "/v1/batches", 405, "method_not_allowed")]
    [InlineData("DELETE", "/v1/batches/batch_x", 405, "method_not_allowed")]
    [InlineData("POST", "/v1/batches", 415, "unsupported_media_type")]
    public async Task Errors_before_the_routes_are_json(string method, string path, int status, string code)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = method == "POST" ? new StringContent("{}", Encoding.UTF8, "text/plain") : null };
        using HttpResponseMessage response = await _api.Http.SendAsync(request);
        Assert.Equal(code, (await ApiCaller.ReadAsync(response, status)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Oversized_headers_urls_and_bodies_get_a_json_error()
    {
        using var large = new HttpRequestMessage(HttpMethod.Get, "batches");
        large.Headers.Add("x-large", new string('x', 100_000));
        using HttpResponseMessage headers = await _api.Http.SendAsync(large);
        await ApiCaller.ReadAsync(headers, 431);
        using HttpResponseMessage url = await _api.Http.GetAsync("batches?after=" + new string('x', 20_000));
        await ApiCaller.ReadAsync(url, 414);
        Assert.Equal("request_too_large", (await PostAsync($$"""{"x":"{{new string('x', 2_000_000)}}"}""", 413)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Health_and_models_are_returned()
    {
        Assert.Equal("ready", (await _api.GetAsync("/healthz")).GetProperty("status").GetString());
        JsonElement models = await _api.GetAsync("models");
        Assert.Equal("echo", models.GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Empty(ApiDocument.OfOpenAI.Check("ListModelsResponse", models));
    }

    [Fact]
    public async Task An_upstream_that_does_not_list_its_models_in_time_is_504()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var time = new FakeTime { SkipsWaits = false };
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = $"http://{silent.LocalEndpoint}/v1" }, time);
        Task<JsonElement> models = service.Api.GetAsync("models", 504);
        using Socket asked = await silent.AcceptSocketAsync();
        time.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal("upstream_timeout", (await models).GetProperty("error").GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("""{"\ud800":1,"input_file_id":"f"}""")]
    [InlineData("""{"input_file_id":"f","metadata":{"\ud800":"x"}}""")]
    [InlineData("""{"input_file_id":"f","metadata":{"k":"\udc00"}}""")]
    public async Task Half_a_surrogate_pair_anywhere_is_400(string body) =>
        Assert.Equal("invalid_json", (await PostAsync(body, 400)).GetProperty("error").GetProperty("code").GetString());

    private async Task<JsonElement> PostAsync(string body, int status)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _api.Http.PostAsync("batches", content);
        return await ApiCaller.ReadAsync(response, status);
    }
}
