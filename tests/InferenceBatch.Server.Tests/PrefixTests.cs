using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The addresses that the clients of Groq and Azure OpenAI use: <c>/openai/v1/…</c>, <c>?api-version=…</c>, and endpoints without <c>/v1</c>.</summary>
public sealed class PrefixTests
{
    private const string Prefix = "/openai/v1/";

    [Theory]
    [InlineData("/openai/v1/")]
    [InlineData("/OpenAI/V1/")]
    public async Task A_whole_batch_under_the_prefix(string path)
    {
        await using TestService service = await TestService.StartAsync();
        using var api = new ApiCaller(service.Address, path: Prefix);
        using var http = new HttpClient { BaseAddress = new Uri(service.Address, path) };
        JsonElement batch = await api.EndAsync(await api.SubmitAsync(Requests.File(3)));
        string output = batch.GetProperty("output_file_id").GetString()!;
        string content = await http.GetStringAsync($"files/{output}/content");
        Assert.Equal(3, content.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal(content, await service.Api.Http.GetStringAsync($"files/{output}/content"));
        Assert.Equal(2, (await http.GetFromJsonAsync<JsonElement>("files?api-version=2025-04-01-preview")).GetProperty("data").GetArrayLength());
        Assert.Equal(1, (await http.GetFromJsonAsync<JsonElement>("batches")).GetProperty("data").GetArrayLength());
        Assert.Equal("echo", (await http.GetFromJsonAsync<JsonElement>("models")).GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal("ready", (await http.GetFromJsonAsync<JsonElement>("healthz")).GetProperty("status").GetString());
        using HttpResponseMessage deleted = await http.DeleteAsync($"files/{output}");
        Assert.True(deleted.IsSuccessStatusCode);
        await service.Api.GetAsync($"files/{output}", 404);
    }

    [Theory]
    [InlineData("/openai")]
    [InlineData("/openai/")]
    [InlineData("/openai/v1")]
    [InlineData("/openai/v1/")]
    [InlineData("/openai/v1/batches/")]
    [InlineData("/openai/v1/nothing")]
    [InlineData("/openai/v10/batches")]
    [InlineData("/openai/v2/batches")]
    [InlineData("/openai/batches")]
    [InlineData("/openai//v1/batches")]
    [InlineData("/openai/healthz")]
    [InlineData("/openai/page/main.js")]
    [InlineData("/openai/openai/v1/batches")]
    [InlineData("/openaix/v1/batches")]
    [InlineData("/v1/openai/v1/batches")]
    [InlineData("/openai%2Fv1/batches")]
    public async Task Other_paths_are_unknown(string path)
    {
        await using TestService service = await TestService.StartAsync();
        JsonElement error = (await service.Api.GetAsync(path, 404)).GetProperty("error");
        Assert.Equal("unknown_url", error.GetProperty("code").GetString());
        Assert.Equal($"Unknown request URL: GET {path}.", error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("key-3")]
    public async Task Without_a_valid_key_every_route_under_the_prefix_is_401(string? key)
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"] });
        using var api = new ApiCaller(service.Address, key, Prefix);
        foreach (string path in new[] { "files", "batches", "models", "models/echo", "batches/batch_x", "files/file-x/content", "nothing", "/openai", "/openai/healthz", "/openai/page/main.js" })
        {
            Assert.Equal("invalid_api_key", (await api.GetAsync(path, 401)).GetProperty("error").GetProperty("code").GetString());
        }

        await api.GetAsync("healthz");
    }

    [Fact]
    public async Task Each_key_sees_only_its_own_batches_under_the_prefix()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"] });
        using var first = new ApiCaller(service.Address, "key-1", Prefix);
        using var second = new ApiCaller(service.Address, "key-2", Prefix);
        string id = await first.SubmitAsync(Requests.File(1));
        await first.EndAsync(id);
        await second.GetAsync($"batches/{id}", 404);
        await second.CancelAsync(id, 404);
        Assert.Equal(0, (await second.GetAsync("batches")).GetProperty("data").GetArrayLength());
        using var azure = new HttpClient();
        azure.DefaultRequestHeaders.Add("api-key", "key-1");
        Assert.Contains(id, await azure.GetStringAsync(new Uri(service.Address, $"{Prefix}batches?api-version=preview")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "evil.example", null, null, "foreign_host")]
    [InlineData("POST", "evil.example", null, null, "foreign_host")]
    [InlineData("GET", null, "https://evil.example", null, "foreign_page")]
    [InlineData("GET", null, null, "cross-site", "foreign_page")]
    [InlineData("GET", null, "HERE", "same-origin", null)]
    [InlineData("GET", "localhost", null, null, null)]
    public async Task Web_pages_of_other_sites_and_host_names_are_refused_under_the_prefix(string method, string? host, string? origin, string? site, string? code)
    {
        await using TestService service = await TestService.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), Prefix + "batches?api-version=preview");
        request.Headers.Host = host;
        string here = service.Address.GetLeftPart(UriPartial.Authority);
        foreach ((string name, string? value) in new[] { ("Origin", origin?.Replace("HERE", here, StringComparison.Ordinal)), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", site is null ? null : "cors") })
        {
            if (value is not null)
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }

        using HttpResponseMessage response = await service.Api.Http.SendAsync(request);
        JsonElement answer = await ApiCaller.ReadAsync(response, code is null ? 200 : 403);
        Assert.Equal(code, code is null ? null : answer.GetProperty("error").GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("OPTIONS", 204)]
    [InlineData("PATCH", 405)]
    public async Task The_methods_are_those_of_the_route(string method, int status)
    {
        await using TestService service = await TestService.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), Prefix + "files");
        using HttpResponseMessage response = await service.Api.Http.SendAsync(request);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(["GET", "HEAD", "POST"], response.Content.Headers.Allow.Order());
    }

    [Fact]
    public async Task Every_route_ignores_the_api_version()
    {
        await using TestService service = await TestService.StartAsync();
        string input = await service.Api.UploadAsync(Requests.File(1));
        string batch = (await service.Api.CreateAsync(input)).GetProperty("id").GetString()!;
        await service.Api.EndAsync(batch);
        var tried = new List<string>();
        foreach (string operation in ApiDocument.OfService.Operations.Append("GET /"))
        {
            if (operation.StartsWith("DELETE", StringComparison.Ordinal))
            {
                continue;
            }

            (string method, string template) = (operation.Split(' ')[0], operation.Split(' ')[1]);
            string path = template.Replace("{id}", template.Contains("/files/", StringComparison.Ordinal) ? input : batch, StringComparison.Ordinal)
                .Replace("{model}", "echo", StringComparison.Ordinal);
            Assert.Equal(await SendAsync(method, path), await SendAsync(method, path + "?api-version=2025-04-01-preview"));
            tried.Add(operation);
        }

        Assert.InRange(tried.Count, 18, int.MaxValue);
        foreach (string query in new[] { "?api-version=2024-10-21", "?api-version=", "?api-version" })
        {
            using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StringContent(Requests.File(1)), "file", "in.jsonl" } };
            using HttpResponseMessage uploaded = await service.Api.Http.PostAsync("files" + query, form);
            string file = (await ApiCaller.ReadAsync(uploaded, 200)).GetProperty("id").GetString()!;
            using HttpResponseMessage created = await service.Api.Http.PostAsJsonAsync(
                "batches" + query, new { input_file_id = file, endpoint = "/chat/completions", completion_window = "24h" });
            string id = (await ApiCaller.ReadAsync(created, 200)).GetProperty("id").GetString()!;
            await service.Api.EndAsync(id);
            using HttpResponseMessage deleted = await service.Api.Http.DeleteAsync($"files/{file}{query}");
            await ApiCaller.ReadAsync(deleted, 200);
        }

        async Task<int> SendAsync(string method, string path)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            using HttpResponseMessage response = await service.Api.Http.SendAsync(request);
            return (int)response.StatusCode;
        }
    }

    [Theory]
    [InlineData("/chat/completions", "/chat/completions")]
    [InlineData("/chat/completions", "/v1/chat/completions")]
    [InlineData("/v1/chat/completions", "/chat/completions")]
    [InlineData("/completions", "/v1/completions")]
    [InlineData("/embeddings", "/embeddings")]
    [InlineData("/responses", "/v1/responses")]
    [InlineData("/moderations", "/moderations")]
    public async Task A_batch_can_be_created_with_an_endpoint_without_the_version(string endpoint, string url)
    {
        await using TestService service = await TestService.StartAsync();
        string line = JsonSerializer.Serialize(new { custom_id = "a", method = "POST", url, body = new { model = "m", input = "one", prompt = "one", messages = new[] { new { role = "user", content = "one" } } } });
        JsonElement created = await service.Api.CreateAsync(await service.Api.UploadAsync(Encoding.UTF8.GetBytes(line + "\n")), endpoint);
        string full = "/v1" + endpoint.Replace("/v1", "", StringComparison.Ordinal);
        Assert.Equal(full, created.GetProperty("endpoint").GetString());
        JsonElement batch = await service.Api.EndAsync(created.GetProperty("id").GetString()!);
        Assert.Equal(("completed", full), (batch.GetProperty("status").GetString(), batch.GetProperty("endpoint").GetString()));
        Assert.Equal(1, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
    }
}
