using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace InferenceBatch.Server.Tests;

/// <summary><c>GET /v1/models/{id}</c> returns an entry of the upstream's list.</summary>
public sealed class ModelRouteTests
{
    private const string Models = """
        {"object":"list","data":[7,{"no":"id"},{"id":null},{"id":"\ud800"},{"id":"llama3:8b","object":"model"},
        {"id":"meta-llama/Llama-3.3-70B","object":"model","created":5,"owned_by":"meta","meta":{"n_ctx":4096}},{"id":"a b%é","object":"model"}]}
        """;

    [Theory]
    [InlineData("llama3:8b", "llama3:8b")]
    [InlineData("llama3%3A8b", "llama3:8b")]
    [InlineData("meta-llama/Llama-3.3-70B", "meta-llama/Llama-3.3-70B")]
    [InlineData("meta-llama%2FLlama-3.3-70B", "meta-llama/Llama-3.3-70B")]
    [InlineData("meta-llama%2fLlama-3.3-70B?api-version=1", "meta-llama/Llama-3.3-70B")]
    [InlineData("a%20b%25%C3%A9", "a b%é")]
    [InlineData("/openai/v1/models/llama3:8b", "llama3:8b")]
    public async Task A_model_is_found_by_its_ID(string path, string id)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.OkAsync(), models: context => WriteAsync(context, Models));
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        JsonElement model = await service.Api.GetAsync(path.StartsWith('/') ? path : "models/" + path);
        Assert.Equal(id, model.GetProperty("id").GetString());
        Assert.Equal("model", model.GetProperty("object").GetString());
        if (id.StartsWith("meta", StringComparison.Ordinal))
        {
            Assert.Equal(4096, model.GetProperty("meta").GetProperty("n_ctx").GetInt32());
        }
    }

    [Theory]
    [InlineData("llama3")]
    [InlineData("LLAMA3:8b")]
    [InlineData("meta-llama")]
    [InlineData("Llama-3.3-70B")]
    [InlineData("null")]
    [InlineData("..%2Fbatches")]
    public async Task An_unknown_model_is_404(string id)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.OkAsync(), models: context => WriteAsync(context, Models));
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        JsonElement error = (await service.Api.GetAsync("models/" + id, 404)).GetProperty("error");
        Assert.Equal(("not_found", "id", "invalid_request_error"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString(), error.GetProperty("type").GetString()));
        Assert.Contains(Uri.UnescapeDataString(id), error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"data":null}""")]
    [InlineData("not JSON")]
    [InlineData("")]
    public async Task An_upstream_without_a_list_is_502(string answer)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.OkAsync(), models: context => WriteAsync(context, answer));
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        JsonElement error = (await service.Api.GetAsync("models/m", 502)).GetProperty("error");
        Assert.Equal("upstream_error", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task The_echo_model_is_found()
    {
        await using TestService service = await TestService.StartAsync();
        JsonElement model = await service.Api.GetAsync("models/echo");
        Assert.Empty(ApiDocument.OfOpenAI.Check("Model", model));
        JsonElement error = (await service.Api.GetAsync("models/" + new string('x', 1_000), 404)).GetProperty("error");
        Assert.InRange(error.GetProperty("message").GetString()!.Length, 1, 200);
    }

    private static async Task WriteAsync(HttpContext context, string json)
    {
        context.Response.StatusCode = 200;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(json);
    }
}
