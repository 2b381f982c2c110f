using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Results;

/// <summary>A success status with a body that is not an answer, as gateways and model servers send it.</summary>
public sealed class AnswerCheckTests
{
    [Theory]
    [InlineData("""{"error":{"code":502,"message":"Provider returned error"}}""", "502", "Provider returned error", 502)]
    [InlineData("""{"error":{"code":"429","message":"slow down"}}""", "429", "slow down", 429)]
    [InlineData("""{"error":{"code":400,"type":"exceed_context_size_error","message":"too long"}}""", "exceed_context_size_error", "too long", 400)]
    [InlineData("""{"error":{"type":"overloaded_error","message":"busy"}}""", "overloaded_error", "busy", 503)]
    [InlineData("""{"error":true,"message":"it broke","status":503}""", "503", "it broke", 503)]
    [InlineData("""{"error":true}""", "no_answer", null, 200)]
    [InlineData("""{"error":"model is not loaded"}""", "error", "model is not loaded", 200)]
    [InlineData("""{"id":"x","choices":[],"error":{"message":"filtered","code":"content_filter"}}""", "content_filter", "filtered", 400)]
    [InlineData("""{"choices":[{"error":{"code":502,"message":"upstream died"},"finish_reason":"error","message":{"content":"half"}}]}""", "502", "upstream died", 502)]
    [InlineData("""{"choices":[{"finish_reason":"error","message":{"content":"half"}}]}""", "no_answer", null, 200)]
    [InlineData("""{"choices":null}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"choices":[],"usage":{"total_tokens":1}}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"choices":"none"}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"data":null,"object":"list"}""", "no_answer", "The response has no 'data'.", 200)]
    [InlineData("""{"output":null,"object":"response"}""", "no_answer", "The response has no 'output'.", 200)]
    [InlineData("""{"object":"response","status":"failed","error":{"code":"server_error","message":"try again"},"output":[]}""", "server_error", "try again", 500)]
    [InlineData("""{"object":"response","status":"cancelled","error":null,"output":[]}""", "no_answer", "The status of the response is 'cancelled'.", 200)]
    [InlineData("""{"object":"error","message":"no such model","code":404}""", "404", "no such model", 404)]
    [InlineData("""{"choices":[null]}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"choices":[{"index":0,"message":null,"finish_reason":null}]}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"id":"c-1","object":"chat.completion","usage":{"prompt_tokens":3}}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"id":"c-1","object":"text_completion","created":1,"model":"m"}""", "no_answer", "The response has no 'choices'.", 200)]
    [InlineData("""{"object":"list","model":"m"}""", "no_answer", "The response has no 'data'.", 200)]
    [InlineData("""{"object":"list","data":[],"usage":{"prompt_tokens":3}}""", "no_answer", "The response has no 'data'.", 200)]
    [InlineData("""{"results":null}""", "no_answer", "The response has no 'results'.", 200)]
    [InlineData("""{"choices":[{"finish_reason":"insufficient_system_resource","message":{"content":"half"}}]}""", "no_answer", null, 503)]
    [InlineData("""{"object":"response","status":"queued","output":[],"background":true}""", "no_answer", null, 400)]
    [InlineData("""{"message":"slow down","code":"Throttled"}""", "Throttled", "slow down", 200)]
    [InlineData("""{"message":"slow down","code":429}""", "429", "slow down", 429)]
    [InlineData("""{"detail":"Not authenticated"}""", "error", "Not authenticated", 200)]
    [InlineData("""{"success":false,"errors":[{"code":7003,"message":"no route"}]}""", "7003", "no route", 200)]
    [InlineData("""{"id":"x","model":"m","created":1}""", "no_answer", null, 200)]
    [InlineData("""{"object":"error","message":"no such model","type":"NotFoundError","code":404}""", "NotFoundError", "no such model", 404)]
    [InlineData("""{"error":"m","code":"rate_limited"}""", "rate_limited", "m", 429)]
    [InlineData("""{"error":{"message":"m","type":"InternalServerError"}}""", "InternalServerError", "m", 500)]
    [InlineData("""{"error":{"message":"m","type":"not_supported_error"}}""", "not_supported_error", "m", 501)]
    [InlineData("""{"error":{"code":"insufficient_quota","message":"m"}}""", "insufficient_quota", "m", 429)]
    [InlineData("""{"error":"cut \ud83d"}""", "error", "cut \ufffd", 200)]
    [InlineData("""{"error":[{"message":"m","code":"c"}]}""", "c", "m", 200)]
    [InlineData("""[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]""", "UNAVAILABLE", "m", 503)]
    [InlineData("\"<!DOCTYPE html><p>Sign in\"", "no_answer", "<!DOCTYPE html><p>Sign in", 200)]
    [InlineData("[]", "no_answer", "The body of the response is not a JSON object.", 200)]
    [InlineData("[{\"choices\":[]}]", "no_answer", "The body of the response is not a JSON object.", 200)]
    [InlineData("17", "no_answer", "The body of the response is not a JSON object.", 200)]
    [InlineData("null", "no_answer", "The response is empty.", 200)]
    [InlineData("\"\"", "no_answer", "The response is empty.", 200)]
    [InlineData("{}", "no_answer", "The response is empty.", 200)]
    public void A_body_that_is_not_an_answer_is_a_failure_with_the_message_of_the_service(string body, string code, string? message, int status)
    {
        BatchResult result = Read(body);
        Assert.Equal((ResultStatus.Failed, code, status), (result.Status, result.Error!.Code, result.StatusCode));
        if (message is not null)
        {
            Assert.Equal(message, result.Error.Message);
        }
    }

    [Theory]
    [InlineData("""{"error":null,"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}""")]
    [InlineData("""{"error":false,"choices":[{"message":{"content":"x"}}]}""")]
    [InlineData("""{"error":{},"choices":[{"message":{"content":"x"},"error":null}]}""")]
    [InlineData("""{"error":"","choices":[{"text":"x"}]}""")]
    [InlineData("""{"choices":[{"message":{"content":"error"},"finish_reason":"length"}],"status":"ok","code":0}""")]
    [InlineData("""{"object":"response","status":"incomplete","error":null,"output":[{"content":[{"type":"output_text","text":"x"}]}]}""")]
    [InlineData("""{"object":"response","status":"completed","output":[]}""")]
    [InlineData("""{"object":"list","data":[{"embedding":[0.5]}]}""")]
    [InlineData("""{"results":[{"flagged":false}]}""")]
    [InlineData("""{"anything":1}""")]
    [InlineData("""{"error":{"code":null,"message":""},"choices":[{"text":"x"}]}""")]
    [InlineData("""{"choices":[{"message":{"content":null},"finish_reason":"length"}]}""")]
    [InlineData("""{"choices":[{"message":{"content":"x"},"finish_reason":"content_filter"},{"finish_reason":"error"}]}""")]
    [InlineData("""{"status":"incomplete","output":null}""")]
    [InlineData("""{"object":"list","data":[{"object":"rerank"}]}""")]
    [InlineData("""{"created":1,"data":[{"b64_json":"x"}]}""")]
    [InlineData("""{"id":"v","object":"video","status":"queued","progress":0}""")]
    [InlineData("""{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"x"}]}""")]
    [InlineData("""{"model":"m","message":{"role":"assistant","content":"x"},"done":true}""")]
    [InlineData("""{"results":[],"took_ms":4}""")]
    [InlineData("""{"text":"transcript"}""")]
    [InlineData("""{"usage":{"prompt_tokens":3}}""")]
    [InlineData("\"WEBVTT\"")]
    public void An_answer_of_any_endpoint_is_a_success(string body) => Assert.Equal((ResultStatus.Succeeded, 200), (Read(body).Status, Read(body).StatusCode));

    /// <summary>If the code only repeats the status, a more specific field is used.</summary>
    [Theory]
    [InlineData("""{"error":{"code":400,"type":"exceed_context_size_error","message":"m"}}""", "exceed_context_size_error")]
    [InlineData("""{"error":{"code":"503","type":"unavailable_error","message":"m"}}""", "unavailable_error")]
    [InlineData("""{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"m"}}""", "INVALID_ARGUMENT")]
    [InlineData("""{"error":{"code":null,"type":"invalid_request_error","message":"m"}}""", "invalid_request_error")]
    [InlineData("""{"object":"error","code":400,"type":"BadRequestError","message":"m"}""", "BadRequestError")]
    [InlineData("""{"error":{"code":400,"message":"m"}}""", "400")]
    [InlineData("""{"error":{"code":1302,"type":"rate_limit","message":"m"}}""", "1302")]
    [InlineData("""{"error":{"code":"model_not_found","type":"invalid_request_error","message":"m"}}""", "model_not_found")]
    public void The_code_is_the_most_specific_one(string body, string code) =>
        Assert.Equal(code, ResultLineReader.Read(System.Text.Encoding.UTF8.GetBytes($$"""{"custom_id":"a","response":{"status_code":400,"body":{{body}}},"error":null}""")).Error!.Code);

    [Fact]
    public void A_success_without_a_body_is_a_failure() => Assert.Equal(
        ResultStatus.Failed,
        ResultLineReader.Read("""{"custom_id":"a","response":{"status_code":200,"request_id":"r"},"error":null}"""u8).Status);

    private static BatchResult Read(string body) =>
        ResultLineReader.Read(System.Text.Encoding.UTF8.GetBytes($$"""{"custom_id":"a","response":{"status_code":200,"body":{{body}}},"error":null}"""));

    /// <summary>Whether these bodies are answers depends on the endpoint.</summary>
    [Theory]
    [InlineData("/v1/embeddings", """{"data":[],"model":"m"}""", "The response has no 'data'.")]
    [InlineData("/v1/moderations", """{"results":[]}""", "The response has no 'results'.")]
    [InlineData("/v1/responses", """{"status":"queued","output":[]}""", "The response has not ended: a batch cannot wait for a background response. Remove 'background' from the body.")]
    public void A_known_endpoint_decides(string endpoint, string body, string message)
    {
        byte[] line = Encoding.UTF8.GetBytes($$"""{"custom_id":"a","response":{"status_code":200,"body":{{body}}},"error":null}""");
        Assert.Equal(message, ResultLineReader.Read(line, endpoint: endpoint).Error?.Message);
        Assert.Equal(ResultStatus.Succeeded, ResultLineReader.Read(line, endpoint: "/v1/other").Status);
        Assert.Equal(ResultStatus.Succeeded, ResultLineReader.Read(line).Status);
    }

    /// <summary>A stored failure is read a second time, by the same rule.</summary>
    [Fact]
    public async Task A_stored_result_keeps_the_endpoint_of_its_batch()
    {
        using var server = new FaultServer();
        server.On("GET /v1/files/out/content", Answer.File("{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":{\"data\":[]}},\"error\":null}\n"u8.ToArray()));
        var batch = new Batch { Id = "b", Status = BatchStatus.Completed, OutputFileId = "out", Endpoint = "/v1/embeddings", RequestCounts = new RequestCounts(1, 1, 0) };
        var requests = new RequestList();
        requests.Add(new BatchRequest { CustomId = "a", Url = "/v1/embeddings", BodyUtf8 = "{}"u8.ToArray() });
        using var joiner = new ResultJoiner(requests);
        await foreach (BatchResult result in new ResultReader().ReadAsync(Clients.For(server, new FakeTime()), batch))
        {
            Assert.Null(joiner.Take(result));
        }

        Assert.Equal("no_answer", Assert.Single(joiner.Finish(listMissing: true, null)).Error?.Code);
    }
}
