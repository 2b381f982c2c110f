using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class EchoTests
{
    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":"old"},{"role":"assistant","content":"x"},{"role":"user","content":"né 😀\n\"q\""}]}""", "né 😀\n\"q\"")]
    [InlineData("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:"}}]}]}""", "look")]
    [InlineData("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":""}]}""", "")]
    [InlineData("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":"p"}],"response_format":{"type":"json_schema","json_schema":{}}}""", "p")]
    [InlineData("/v1/completions", """{"model":"m","prompt":"once upon"}""", "once upon")]
    [InlineData("/v1/responses", """{"model":"m","input":"plain"}""", "plain")]
    [InlineData("/v1/responses", """{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"parts"}]}]}""", "parts")]
    public async Task Responds_with_the_prompt(string endpoint, string body, string text)
    {
        JsonElement answer = await AnswerAsync(endpoint, body);
        string? content = endpoint switch
        {
            "/v1/chat/completions" => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(),
            "/v1/completions" => answer.GetProperty("choices")[0].GetProperty("text").GetString(),
            _ => answer.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString(),
        };
        Assert.Equal(text, content);
        Assert.Equal("m", answer.GetProperty("model").GetString());
        Assert.True(answer.GetProperty("usage").GetProperty("total_tokens").GetInt32() >= 0);
    }

    [Fact]
    public async Task Embeddings_are_the_same_for_the_same_text()
    {
        JsonElement a = await AnswerAsync("/v1/embeddings", """{"model":"m","input":"one"}""");
        JsonElement b = await AnswerAsync("/v1/embeddings", """{"model":"m","input":"one"}""");
        JsonElement c = await AnswerAsync("/v1/embeddings", """{"model":"m","input":"two"}""");
        double[] vector = Vector(a);
        Assert.Equal(vector, Vector(b));
        Assert.NotEqual(vector, Vector(c));
        Assert.Equal(1, Math.Sqrt(vector.Sum(x => x * x)), 3);
    }

    [Fact]
    public async Task Moderations_need_no_model()
    {
        JsonElement answer = await AnswerAsync("/v1/moderations", """{"input":"fine"}""");
        Assert.False(answer.GetProperty("results")[0].GetProperty("flagged").GetBoolean());
    }

    [Fact]
    public async Task Configured_failures_are_in_the_error_file()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = "echo?fail=1&seed=7",
            Engine = settings.Engine with { MaxAttempts = 1 },
        });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(30)));
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal(JsonValueKind.Null, batch.GetProperty("output_file_id").ValueKind);
        List<JsonElement> errors = await service.Api.LinesAsync(batch.GetProperty("error_file_id"));
        // A 429 uses no attempt: the line is retried.
        Assert.Equal([408, 500], errors.Select(line => line.GetProperty("response").GetProperty("status_code").GetInt32()).Distinct().Order());
    }

    private static async Task<JsonElement> AnswerAsync(string endpoint, string body)
    {
        await using TestService service = await TestService.StartAsync();
        string line = $$"""{"custom_id":"a","method":"POST","url":"{{endpoint}}","body":{{body}}}""";
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(line, endpoint));
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        return (await service.Api.LinesAsync(batch.GetProperty("output_file_id")))[0].GetProperty("response").GetProperty("body");
    }

    private static double[] Vector(JsonElement answer) =>
        [.. answer.GetProperty("data")[0].GetProperty("embedding").EnumerateArray().Select(number => number.GetDouble())];
}
