using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using InferenceBatch.Server.Api;
using InferenceBatch.Server.Tests.Support;
using Microsoft.AspNetCore.Routing;

namespace InferenceBatch.Server.Tests;

/// <summary>Compares docs/openapi.yaml with the service in both directions.</summary>
public sealed class ApiDocumentTests
{
    /// <summary>Responses that require a failing disk, a bug, a slow caller or a stopping service. Other tests cover them.</summary>
    private static readonly string[] s_testedElsewhere = [" 408", " 500", " 503", " 504", " 507"];

    [Fact]
    public async Task Routes_and_methods_of_service_and_document_are_the_same()
    {
        await using TestService service = await TestService.StartAsync();
        IEnumerable<string> served = service.Routes.Where(route => !IsOfPage(route)).SelectMany(route =>
            route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method => $"{method} {route.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)}"));
        Assert.Equal(ApiDocument.OfService.Operations.Order(StringComparer.Ordinal), served.Order(StringComparer.Ordinal));
    }

    private static bool IsOfPage(RouteEndpoint route) =>
        route.RoutePattern.RawText is "/" || route.RoutePattern.RawText!.StartsWith("/page/", StringComparison.Ordinal);

    [Fact]
    public void The_document_is_complete()
    {
        var names = new List<string>();
        Visit(ApiDocument.OfService.Root, node =>
        {
            if (node["$ref"] is not null)
            {
                Assert.NotNull(ApiDocument.OfService.Resolve(node));
            }

            if (node["operationId"] is { } name)
            {
                names.Add(name.GetValue<string>());
                Assert.NotEmpty(node["summary"]!.GetValue<string>());
            }
        });
        Assert.Equal(names.Distinct().Count(), names.Count);
        Assert.Equal(ApiDocument.OfService.Operations.Count(), names.Count);
    }

    /// <summary>Other tests rely on this comparison, so it must find every difference.</summary>
    [Theory]
    [InlineData("GET", "/v1/files/{id}", 200, "\"status\":\"processed\"", "\"status\":\"processed\"", null)]
    [InlineData("GET", "/v1/files/{id}", 200, "\"status\":\"processed\"", "\"status\":\"uploaded\"", "/status")]
    [InlineData("GET", "/v1/files/{id}", 200, "\"bytes\":3,", "", "bytes")]
    [InlineData("GET", "/v1/files/{id}", 200, "\"bytes\":3", "\"bytes\":\"3\"", "/bytes")]
    [InlineData("GET", "/v1/files/{id}", 200, "\"bytes\":3", "\"bytes\":null", "/bytes")]
    [InlineData("GET", "/v1/files/{id}", 200, "\"bytes\":3", "\"bytes\":3,\"more\":1", "/more")]
    [InlineData("GET", "/v1/files/{id}", 202, "", "", "202")]
    [InlineData("GET", "/v1/batches/{id}", 200, "", "", "request_counts")]
    public void The_comparison_finds_differences(string method, string path, int status, string part, string changed, string? said)
    {
        const string File = """{"id":"file-abcdefghijklmnopqrstuvwx","object":"file","bytes":3,"created_at":1,"expires_at":null,"filename":"a","purpose":"batch","status":"processed"}""";
        var headers = new Dictionary<string, string> { ["x-request-id"] = "req_abcdefghijklmnopqrstuvwx", ["Content-Type"] = "application/json" };
        string[] problems = [.. DocumentedHandler.Problems(
            method, path.Replace("{id}", "x", StringComparison.Ordinal), status, headers, part.Length == 0 ? File : File.Replace(part, changed, StringComparison.Ordinal))];
        Assert.Equal(said is null, problems.Length == 0);
        Assert.Contains(said ?? "", string.Join('\n', problems), StringComparison.Ordinal);
    }

    [Fact]
    public void The_comparison_checks_headers()
    {
        var headers = new Dictionary<string, string> { ["Content-Type"] = "application/octet-stream", ["x-request-id"] = "7", ["Accept-Ranges"] = "bytes", ["X-More"] = "1" };
        string problems = string.Join('\n', DocumentedHandler.Problems("GET", "/v1/files/x/content", 200, headers, null));
        Assert.Contains("x-request-id", problems, StringComparison.Ordinal);
        Assert.Contains("X-Incomplete", problems, StringComparison.Ordinal);
        Assert.Contains("X-More", problems, StringComparison.Ordinal);
        Assert.DoesNotContain("Accept-Ranges", problems, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_documented_response_occurs()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        await using TestService service = await TestService.StartAsync(settings => settings with { Engine = new EngineSettings { MaxFileBytes = 100_000 } });
        await using TestService stalled = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            ApiKeys = ["key"],
            Engine = new EngineSettings { CancelGrace = TimeSpan.Zero },
        });
        using var keyed = new ApiCaller(stalled.Address, "key");
        using var unkeyed = new ApiCaller(stalled.Address);
        ApiCaller api = service.Api;
        var callers = new List<ApiCaller> { api, keyed, unkeyed };

        string input = await api.UploadAsync(Requests.File(2));
        string batch = (await api.CreateAsync(input)).GetProperty("id").GetString()!;
        JsonElement ended = await api.EndAsync(batch);
        string busyInput = await keyed.UploadAsync(Requests.File(1));
        string busy = (await keyed.CreateAsync(busyInput)).GetProperty("id").GetString()!;

        foreach (string operation in ApiDocument.OfService.Operations)
        {
            (string method, string template) = (operation.Split(' ')[0], operation.Split(' ')[1]);
            string path = template.Replace("{id}", template.StartsWith("/v1/files", StringComparison.Ordinal) ? input : batch, StringComparison.Ordinal)
                .Replace("{model}", "echo", StringComparison.Ordinal);
            await SendAsync(unkeyed, method, path);
            await SendAsync(api, method, path + "?x=" + new string('x', 9_000));
            await SendAsync(api, method, path, request => request.Headers.Add("x-large", new string('x', 40_000)));
            await SendAsync(api, method, path, request => request.Headers.Add("Origin", "https://evil.example"));
            if (template.Contains('{', StringComparison.Ordinal))
            {
                await SendAsync(api, method, Regex.Replace(template, @"\{\w+\}", "none"));
            }

            if (method is "GET" or "HEAD")
            {
                await SendAsync(api, method, path);
                await SendAsync(api, method, path + "?limit=0&offset=x");
                await SendAsync(keyed, method, path);
                await SendAsync(api, method, path, request => request.Headers.Range = new RangeHeaderValue(0, 1));
                await SendAsync(api, method, path, request => request.Headers.Range = new RangeHeaderValue(1_000_000, null));
            }
        }

        await SendAsync(api, "POST", $"/v1/batches/{batch}/cancel");
        await SendAsync(keyed, "DELETE", $"/v1/files/{busyInput}");
        await SendAsync(keyed, "POST", $"/v1/batches/{busy}/cancel");
        await SendAsync(api, "DELETE", $"/v1/files/{input}");
        foreach ((string path, string type) in new[] { ("/v1/batches", "application/json"), ("/v1/files", "multipart/form-data; boundary=b") })
        {
            await SendAsync(api, "POST", path, request => request.Content = new StringContent("{}", Encoding.UTF8, "text/plain"));
            await SendAsync(api, "POST", path, request => request.Content = Body("{}", type));
            await SendAsync(api, "POST", path, request => request.Content = Body(new string('x', 2_000_000), type));
        }

        await upstream.DisposeAsync();
        await keyed.GetAsync("models", 502);
        await SendAsync(keyed, "HEAD", "/v1/models");
        await keyed.GetAsync("models/m", 502);
        await SendAsync(keyed, "HEAD", "/v1/models/m");

        string[] listed = [.. ApiDocument.OfService.Operations.SelectMany(operation => ApiDocument.OfService
            .Find(operation.Split(' ')[0], operation.Split(' ')[1]).Responses.Select(response => $"{operation} {response.Key}"))];
        HashSet<string> seen = [.. callers.SelectMany(caller => caller.Documented.Seen.Keys)];
        Assert.DoesNotContain(listed, answer => !s_testedElsewhere.Any(answer.EndsWith) && !seen.Contains(answer));

        List<JsonElement> lines = await api.LinesAsync(ended.GetProperty("output_file_id"));
        Assert.Equal(2, lines.Count);
        Assert.All(lines, line => Assert.Empty(ApiDocument.OfService.Check("ResultLine", line)));
    }

    [Theory]
    [InlineData("/v1/files", "GET, HEAD, POST")]
    [InlineData("/v1/batches/x", "GET, HEAD")]
    [InlineData("/v1/batches/x/cancel", "POST")]
    public async Task Options_returns_the_methods_of_a_route(string path, string methods)
    {
        await using TestService service = await TestService.StartAsync();
        using HttpResponseMessage response = await SendAsync(service.Api, "OPTIONS", path);
        Assert.Equal(204, (int)response.StatusCode);
        Assert.Equal(methods.Split(", "), response.Content.Headers.Allow.Order());
        using HttpResponseMessage refused = await SendAsync(service.Api, "PATCH", path);
        Assert.Equal(405, (int)refused.StatusCode);
        Assert.Equal(methods.Split(", "), refused.Content.Headers.Allow.Order());
    }

    [Fact]
    public async Task Head_returns_the_headers_of_get()
    {
        await using TestService service = await TestService.StartAsync();
        string id = await service.Api.UploadAsync(Requests.File(1));
        foreach (string path in new[] { "/v1/files", $"/v1/files/{id}", $"/v1/files/{id}/content", "/healthz", "/v1/files/none" })
        {
            using HttpResponseMessage head = await SendAsync(service.Api, "HEAD", path);
            using HttpResponseMessage get = await SendAsync(service.Api, "GET", path);
            Assert.Equal(get.StatusCode, head.StatusCode);
            Assert.Equal(get.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
            Assert.Equal(get.Content.Headers.ContentType, head.Content.Headers.ContentType);
        }
    }

    /// <summary>The service accepts and refuses the same request bodies as the schema in the document.</summary>
    [Theory]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/embeddings","completion_window":"24h","metadata":null,"webhook_url":null,"output_expires_after":null}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/moderations","completion_window":"24h","metadata":{},"unknown":[1e999]}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/chat/completions","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/responses","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"chat/completions","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/v1/chat/completions","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/openai/v1/chat/completions","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/Chat/Completions","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/chat/completions/","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"","completion_window":"24h"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions"}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":24}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":[]}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"created_at"}}""")]
    [InlineData("""{"input_file_id":"FILE","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"created_at","seconds":3600.5}}""")]
    public async Task The_service_accepts_the_same_request_bodies_as_the_document(string body)
    {
        await using TestService service = await TestService.StartAsync();
        body = body.Replace("FILE", await service.Api.UploadAsync(Requests.File(1)), StringComparison.Ordinal);
        bool fits = ApiDocument.OfService.Check("CreateBatch", JsonDocument.Parse(body).RootElement).Count == 0;
        using HttpResponseMessage response = await SendAsync(service.Api, "POST", "/v1/batches", request => request.Content = Body(body, "application/json"));
        Assert.Equal(fits ? 200 : 400, (int)response.StatusCode);
    }

    private static ByteArrayContent Body(string text, string type)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        return content;
    }

    private static async Task<HttpResponseMessage> SendAsync(ApiCaller caller, string method, string path, Action<HttpRequestMessage>? configure = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        configure?.Invoke(request);
        return await caller.Http.SendAsync(request);
    }

    private static void Visit(JsonNode? node, Action<JsonNode> look)
    {
        if (node is JsonObject json)
        {
            look(json);
        }

        foreach (JsonNode? inner in node is JsonObject fields ? fields.Select(field => field.Value) : node is JsonArray items ? items : [])
        {
            Visit(inner, look);
        }
    }
}
