using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Web pages of other sites must not reach a service without keys through a browser.</summary>
public sealed class CrossOriginGuardTests
{
    [Theory]
    [InlineData("POST", "evil.example", null, null, null, "foreign_host")]
    [InlineData("GET", "127.0.0.1.evil.example:80", null, null, null, "foreign_host")]
    [InlineData("GET", null, "https://evil.example", null, null, "foreign_page")]
    [InlineData("GET", null, "null", null, null, "foreign_page")]
    [InlineData("GET", null, "http://localhost:1", null, null, "foreign_page")]
    [InlineData("GET", null, null, "cross-site", "cors", "foreign_page")]
    [InlineData("GET", null, null, "same-site", "no-cors", "foreign_page")]
    [InlineData("POST", null, null, "cross-site", "navigate", "foreign_page")]
    [InlineData("GET", null, null, "cross-site", "navigate", null)]
    [InlineData("GET", null, "HERE", null, null, null)]
    [InlineData("GET", null, "HERE", "same-origin", "cors", null)]
    [InlineData("GET", null, null, "none", "navigate", null)]
    [InlineData("GET", "localhost", null, null, null, null)]
    [InlineData("GET", "[::1]:8421", null, null, null, null)]
    [InlineData("GET", "my-machine", null, null, null, null)]
    [InlineData("GET", "host.docker.internal:8421", null, null, null, null)]
    public async Task Requests_from_other_sites_and_host_names_are_refused(string method, string? host, string? origin, string? site, string? mode, string? code)
    {
        await using TestService service = await TestService.StartAsync();
        using HttpRequestMessage request = Request(method, host, origin?.Replace("HERE", service.Address.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal), site, mode);
        using HttpResponseMessage response = await service.Api.Http.SendAsync(request);
        JsonElement answer = await ApiCaller.ReadAsync(response, code is null ? 200 : 403);
        Assert.Equal(code, code is null ? null : answer.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task With_keys_the_key_decides()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key"] });
        using var api = new ApiCaller(service.Address, "key");
        using HttpRequestMessage request = Request("GET", "batch.example.com", "https://app.example.com", "cross-site", "cors");
        using HttpResponseMessage response = await api.Http.SendAsync(request);
        await ApiCaller.ReadAsync(response, 200);
    }

    private static HttpRequestMessage Request(string method, string? host, string? origin, string? site, string? mode)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), "batches");
        request.Headers.Host = host;
        foreach ((string name, string? value) in new[] { ("Origin", origin), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode) })
        {
            if (value is not null)
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return request;
    }
}
