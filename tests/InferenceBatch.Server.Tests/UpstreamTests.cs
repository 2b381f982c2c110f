using System.Text.Json;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The values of <c>--upstream</c>, and how the responses of an upstream are interpreted.</summary>
public sealed class UpstreamTests
{
    [Theory]
    [InlineData("http://user:secret@h/v1", "user name")]
    [InlineData("http://user:secret@h h/v1", "http(s)")]
    [InlineData("user:secret@h/v1", "http(s)")]
    [InlineData("http://h/v1#f", "fragment")]
    public void An_address_with_parts_that_are_not_sent_is_refused_without_showing_a_password(string address, string said)
    {
        FormatException exception = Assert.Throws<FormatException>(() => UpstreamAddress.Create(address, null, TimeProvider.System));
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_query_of_the_address_is_added_to_every_request()
    {
        string? asked = null;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call =>
        {
            asked = $"{call.Context.Request.Path}{call.Context.Request.QueryString}";
            return call.OkAsync();
        });
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address + "/?api-version=2024-10-21" });
        await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(1)));
        Assert.Equal("/v1/chat/completions?api-version=2024-10-21", asked);
    }

    /// <summary>A start without <c>--upstream</c> must not complete the batch of a model with echoed prompts.</summary>
    [Fact]
    public async Task Unfinished_batches_of_a_model_are_not_completed_by_the_echo_model()
    {
        using var folder = new TempFolder();
        string first, id;
        await using (FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 2" ? call.AnswerAsync(503, "{}") : call.OkAsync()))
        {
            first = upstream.Address;
            await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address + "?api-version=1" }, folder: folder);
            id = await service.Api.SubmitAsync(Requests.File(2));
            await service.Api.DoneAsync(id, 1);
        }

        InvalidDataException refusal = await Assert.ThrowsAsync<InvalidDataException>(() => TestService.StartAsync(folder: folder));
        Assert.Contains($"1 unfinished batch of the upstream {first},", refusal.Message, StringComparison.Ordinal);

        // Another model may complete it, which is logged.
        await using FaultUpstream other = await FaultUpstream.StartAsync(call => call.OkAsync());
        await using (TestService service = await TestService.StartAsync(settings => settings with { Upstream = other.Address }, folder: folder))
        {
            await service.Api.EndAsync(id);
            Assert.Contains(service.Log.Lines, line => line.Contains($"upstream {first}", StringComparison.Ordinal) && line.Contains(other.Address, StringComparison.Ordinal));
        }

        await using TestService echo = await TestService.StartAsync(folder: folder);
    }

    [Theory]
    [InlineData(302, "https://elsewhere.example/v1/secret?key=secret", "(302) to https://elsewhere.example,")]
    [InlineData(307, "/other", "(307),")]
    [InlineData(304, null, "(304),")]
    public async Task A_redirect_is_not_followed_and_reported_at_once(int status, string? location, string said)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call =>
        {
            call.Context.Response.StatusCode = status;
            call.Context.Response.Headers.Location = location;
            return Task.CompletedTask;
        });
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        // The lines wait, because the address or the login can be corrected.
        string id = await service.Api.SubmitAsync(Requests.File(3));
        await service.Api.UntilAsync(id, _ => !upstream.Attempts.IsEmpty && service.Log.Lines.Any(line => line.Contains("redirect", StringComparison.Ordinal)));
        JsonElement health = await service.Api.GetAsync("/healthz");
        Assert.Equal("degraded", health.GetProperty("status").GetString());
        JsonElement trouble = health.GetProperty("troubles")[0];
        Assert.Equal("refusing", trouble.GetProperty("state").GetString());
        string message = trouble.GetProperty("message").GetString()!;
        Assert.Contains($"redirect {said}", message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
        Assert.DoesNotContain("key", message, StringComparison.Ordinal);
        Assert.Equal("""{"total":3,"completed":0,"failed":0}""", (await service.Api.GetAsync($"batches/{id}")).GetProperty("request_counts").GetRawText());
    }

    /// <summary>Services repeat the key in their errors, completely or in part. Results and logs must not contain it.</summary>
    [Theory]
    [InlineData(400, """{"error":{"message":"Incorrect API key provided: KEY."}}""", "application/json")]
    [InlineData(404, """{"error":{"message":"no access with KEY","code":"x"}}""", "application/json")]
    [InlineData(400, "<html>bad key KEY</html>", "text/html")]
    [InlineData(400, """{"error":{"message":"key PART… is not allowed here"}}""", "application/json")]
    public async Task A_key_that_the_upstream_repeats_is_masked(int status, string body, string type)
    {
        const string Key = "sk-upstream-0123456789abcdefghij";
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(
            status, body.Replace("KEY", Key, StringComparison.Ordinal).Replace("PART", Key[..20], StringComparison.Ordinal), type));
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address, UpstreamKey = Key });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(1)));
        string line = Assert.Single(await service.Api.LinesAsync(batch.GetProperty("error_file_id"))).GetRawText();
        Assert.DoesNotContain(Key[..12], line, StringComparison.Ordinal);
        Assert.DoesNotContain(service.Log.Lines, text => text.Contains(Key[..12], StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    public async Task A_response_that_a_gateway_has_compressed_is_read(string coding)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            call.Context.Response.Headers.ContentEncoding = coding;
            using var buffer = new MemoryStream();
            using (Stream packed = coding switch
            {
                "gzip" => new System.IO.Compression.GZipStream(buffer, System.IO.Compression.CompressionMode.Compress, leaveOpen: true),
                "br" => new System.IO.Compression.BrotliStream(buffer, System.IO.Compression.CompressionMode.Compress, leaveOpen: true),
                _ => new System.IO.Compression.ZLibStream(buffer, System.IO.Compression.CompressionMode.Compress, leaveOpen: true),
            })
            {
                packed.Write("""{"choices":[{"message":{"content":"unpacked"},"finish_reason":"stop"}]}"""u8);
            }

            await call.Context.Response.Body.WriteAsync(buffer.ToArray());
        });
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(2)));
        Assert.All(await service.Api.LinesAsync(batch.GetProperty("output_file_id")), line => Assert.Contains("unpacked", line.GetRawText(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_sum_of_tokens_above_the_maximum_stays_at_the_maximum()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call =>
            call.AnswerAsync(200, """{"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}}"""));
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        string id = await service.Api.SubmitAsync(Requests.File(3));
        JsonElement usage = (await service.Api.EndAsync(id)).GetProperty("usage");
        Assert.Equal(long.MaxValue, usage.GetProperty("input_tokens").GetInt64());
        Assert.Equal(long.MaxValue, usage.GetProperty("total_tokens").GetInt64());
        Assert.Equal(long.MaxValue, (await service.Api.GetAsync($"batches/{id}/statistics")).GetProperty("output_tokens").GetProperty("sum").GetInt64());
    }
}
