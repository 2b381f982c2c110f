using System.Net;
using System.Text.RegularExpressions;
using InferenceBatch.Server.Api;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The routes of the page. <see cref="PageBrowserTests"/> tests the page in a browser.</summary>
public sealed partial class PageTests
{
    private static readonly string[] s_paths =
        [.. typeof(ServiceHost).Assembly.GetManifestResourceNames().Where(name => name.StartsWith("/page/", StringComparison.Ordinal)).Select(name => name == "/page/index.html" ? "/" : name)];

    [Fact]
    public async Task Every_file_is_served_without_a_key_and_loads_nothing_from_other_sites()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1"] });
        Assert.Contains("/", s_paths);
        Assert.Contains("/page/main.js", s_paths);
        foreach (string path in s_paths)
        {
            using HttpResponseMessage response = await service.Api.Http.GetAsync(path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            string[] policy = response.Headers.GetValues("Content-Security-Policy").Single().Split("; ");
            Assert.Contains("default-src 'none'", policy);
            Assert.Contains("script-src 'self'", policy);
            Assert.Contains("connect-src 'self'", policy);
            Assert.Contains("frame-ancestors 'none'", policy);
            Assert.Contains("form-action 'none'", policy);
            Assert.Contains("require-trusted-types-for 'script'", policy);
            Assert.DoesNotContain(policy, part => part.Contains("unsafe", StringComparison.Ordinal) || part.Contains('*') || part.Contains("http", StringComparison.Ordinal));
            Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
            Assert.Equal("no-referrer", response.Headers.GetValues("Referrer-Policy").Single());
            Assert.True(response.Headers.CacheControl!.NoStore);
            Assert.StartsWith("req_", response.Headers.GetValues("x-request-id").Single(), StringComparison.Ordinal);
            Assert.Equal(
                Path.GetExtension(path) switch { ".js" => "text/javascript", ".css" => "text/css", ".svg" => "image/svg+xml", _ => "text/html" },
                response.Content.Headers.ContentType!.MediaType);

            string text = await response.Content.ReadAsStringAsync();
            Assert.DoesNotMatch(OtherHostOrMarkup(), text.Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal));
            using var head = new HttpRequestMessage(HttpMethod.Head, path);
            using HttpResponseMessage headOnly = await service.Api.Http.SendAsync(head);
            Assert.Equal(response.Content.Headers.ContentLength, headOnly.Content.Headers.ContentLength);
        }
    }

    [Fact]
    public async Task Other_paths_require_a_key()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1"] });
        using var api = new ApiCaller(service.Address, "key-1");
        foreach (string path in new[] { "/page/", "/page/index.html", "/page/../v1/batches", "/page/main.js/", "/page/no.js", "/PAGE/MAIN.JS" })
        {
            using HttpResponseMessage response = await service.Api.Http.GetAsync(path);
            await ApiCaller.ReadAsync(response, 401);
        }

        await api.GetAsync("/page/no.js", 404);
        using HttpResponseMessage post = await service.Api.Http.PostAsync("/", null);
        Assert.Equal("method_not_allowed", (await ApiCaller.ReadAsync(post, 405)).GetProperty("error").GetProperty("code").GetString());
    }

    /// <summary>Another host, or a way to turn text into markup or code.</summary>
    [GeneratedRegex("""(https?:)?//[a-z]|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|<script(?! type="module" src)|<style| style="| on[a-z]+=|localStorage|cookie""")]
    private static partial Regex OtherHostOrMarkup();
}
