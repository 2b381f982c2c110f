using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>Result lines in every shape the reference lists.</summary>
public sealed class ResultLineReaderTests
{
    private const string Chat =
        """{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}],"usage":{"prompt_tokens":22,"completion_tokens":2,"total_tokens":24}}""";

    /// <summary>A text is read from its position in the line, if it has one.</summary>
    [Theory]
    [InlineData("""{"choices":[{"message":{"content":"a \"b\" \u00e9\n"}}]}""", "a \"b\" é\n")]
    [InlineData("""{"choices":[{"message":{"content":""}}]}""", "")]
    [InlineData("""{"choices":[{"text":7}]}""", "7")]
    [InlineData("""{"choices":[{"message":{"content":"cut \ud83d"}}]}""", "cut \ufffd")]
    [InlineData("""{"choices":[{"message":{"content":"first","content":[{"type":"text","text":"second"}]}}]}""", "second")]
    [InlineData("""{"choices":[{"message":{"content":[{"type":"text","text":"first"}],"content":"second"}}]}""", "second")]
    [InlineData("""{"choices":[{"text":"first","text":null}]}""", null)]
    [InlineData("\"{\\\"choices\\\":[{\\\"text\\\":\\\"inside\\\"}]}\"", "inside")]
    public void The_last_text_counts(string body, string? text)
    {
        BatchResult result = ResultLineReader.Read(Encoding.UTF8.GetBytes("{\"custom_id\":\"é\",\"response\":{\"status_code\":200,\"body\":" + body + "}}"));
        Assert.Equal((text, ResultStatus.Succeeded), (result.Text, result.Status));
        Assert.Equal(text, result.CopyFor("copy", new BatchRequest { CustomId = "copy", Url = "", BodyUtf8 = default }).Text);
    }

    [Fact]
    public void The_documented_answer_is_read()
    {
        string line = Answered(Chat);
        BatchResult result = ResultLineReader.Read(Encoding.UTF8.GetBytes(line), "batch_9");
        Assert.Equal(("request-2", ResultStatus.Succeeded, 200), (result.CustomId, result.Status, result.StatusCode));
        Assert.Equal(("Paris.", "stop"), (result.Text, result.FinishReason));
        Assert.Equal((22L, 2L, 24L), (result.PromptTokens, result.CompletionTokens, result.TotalTokens));
        Assert.Null(result.Error);
        Assert.Equal("batch_9", result.BatchId);
        Assert.Equal(line, result.Json);
    }

    [Fact]
    public void The_documented_expired_line_is_read()
    {
        BatchResult result = Read(
            """{"id":"batch_req_123","custom_id":"request-3","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}""");
        Assert.Equal(("request-3", ResultStatus.Expired), (result.CustomId, result.Status));
        Assert.Equal(new ServiceError("batch_expired", "This request could not be executed before the completion window expired."), result.Error);
        Assert.Null(result.StatusCode);
        Assert.Null(result.Text);
    }

    [Fact]
    public void Lines_of_Inference_net_without_error_and_with_the_batch_ID_are_read()
    {
        Assert.Equal(ResultStatus.Succeeded, Read(
            $$$"""{"id":"-Kd3","custom_id":"a","response":{"status_code":200,"request_id":"r","body":{{{Chat}}}}}""").Status);
        BatchResult failed = Read("""{"id":"-Kd3","custom_id":"img_0","response":null,"error":{"code":"inference_failed","message":"Maximum retries reached"}}""");
        Assert.Equal((ResultStatus.Failed, "inference_failed"), (failed.Status, failed.Error?.Code));
    }

    [Theory]
    [InlineData("batch_expired", ResultStatus.Expired)]
    [InlineData("batch_cancelled", ResultStatus.Cancelled)]
    [InlineData("request_timeout", ResultStatus.Failed)]
    [InlineData("anything", ResultStatus.Failed)]
    public void Codes_without_an_answer(string code, ResultStatus status) =>
        Assert.Equal(status, Read($$$"""{"custom_id":"a","response":null,"error":{"code":"{{{code}}}","message":"m"}}""").Status);

    [Theory]
    [InlineData(200, ResultStatus.Succeeded)]
    [InlineData(201, ResultStatus.Succeeded)]
    [InlineData(299, ResultStatus.Succeeded)]
    [InlineData(300, ResultStatus.Failed)]
    [InlineData(400, ResultStatus.Failed)]
    [InlineData(500, ResultStatus.Failed)]
    [InlineData(0, ResultStatus.Failed)]
    public void A_status_other_than_2xx_is_a_failure_in_every_file(int code, ResultStatus status)
    {
        BatchResult result = Read(Answered(Chat, code));
        Assert.Equal((status, code), (result.Status, result.StatusCode));
        Assert.Equal(status == ResultStatus.Failed, result.Error is not null);
    }

    /// <summary>The result has the error in one place, wherever the service puts it.</summary>
    [Theory]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":{"error":{"message":"m","code":"c"}}},"error":null}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":{"error":"m"}}}""", "error", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":"{\"error\":{\"message\":\"m\",\"code\":\"c\"}}"}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":502,"body":"<html>Bad Gateway</html>"}}""", "http_502", "<html>Bad Gateway</html>")]
    [InlineData("""{"custom_id":"a","response":{"body":{"message":"m"},"status_code":422}}""", "http_422", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":422,"body":{"message":"m"}}}""", "http_422", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":200,"body":{"error":{"message":"m","code":"c"}}}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":null,"error":"m"}""", "error", "m")]
    [InlineData("""{"custom_id":"a","error":{"message":"m","code":"c"}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","error":{"message":"m","code":"c"},"response":{"status_code":400,"body":{"error":{"message":"n","code":"d"}}}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","error":{"message":"m","code":"c"},"response":{"status_code":400,"body":{"message":"n","x":[1]}}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":{"message":"m","error":{"message":"n","code":"d"},"message":"o"}}}""", "d", "n")]
    [InlineData("""{"custom_id":"a","response":{"status_code":429,"body":null}}""", "http_429", null)]
    [InlineData("""{"custom_id":"a","response":{"status_code":404,"body":{"type":"about:blank","title":"Not Found","status":404,"detail":"No model m"}}}""", "http_404", "Not Found: No model m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":403,"body":{"type":"https://example.com/probs/out-of-credit","title":"No credit"}}}""", "out-of-credit", "No credit")]
    [InlineData("""{"custom_id":"a","response":{"body":{"detail":[{"loc":["body","messages"],"msg":"field required","type":"missing"}]},"status_code":422}}""", "missing", "messages: field required")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":"{\"title\":\"Bad\",\"code\":\"c\"}"}}""", "c", "Bad")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":"[{\"error\":{\"message\":\"m\",\"code\":\"c\"}}]"}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":[{"error":{"message":"m","code":"c"}}]}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":{"errors":{"data":[{"message":"m","code":"c"}]}}}}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":400,"body":{"error_code":17,"error_msg":"m","log_id":5}}}""", "17", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":200,"body":{"error_code":17,"error_msg":"m"}}}""", "17", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":200,"body":{"code":"InvalidParameter","message":"m","request_id":"r"}}}""", "InvalidParameter", "m")]
    [InlineData("""{"custom_id":"a","response":{"status_code":503,"body":"no\u001b[2J model"}}""", "http_503", "no\ufffd[2J model")]
    [InlineData("""{"custom_id":"a","response":null,"error":[{"detail":"m","code":"c"}]}""", "c", "m")]
    [InlineData("""{"custom_id":"a","response":null,"error":{"title":"m","detail":[{"msg":"n","type":"c"}]}}""", "c", "m: n")]
    [InlineData("""{"custom_id":"a","response":null,"error":null}""", "no_response", null)]
    [InlineData("""{"custom_id":"a"}""", "no_response", null)]
    [InlineData("""{"custom_id":"a","response":"oops"}""", "no_response", null)]
    public void The_error_is_found_in_every_place(string line, string code, string? message)
    {
        BatchResult result = Read(line);
        Assert.Equal(ResultStatus.Failed, result.Status);
        Assert.Equal(code, result.Error?.Code);
        if (message is not null)
        {
            Assert.Equal(message, result.Error?.Message);
        }
    }

    [Theory]
    [InlineData("""{"choices":[{"text":"Once","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}""", "Once", "length")]
    [InlineData("""{"choices":[{"finish_reason":"stop","message":{"content":"first"}},{"message":{"content":"second"},"finish_reason":"length"}]}""", "first", "stop")]
    [InlineData("""{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]},"finish_reason":"stop"}]}""", "ab", "stop")]
    [InlineData("""{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"arguments":"{\"content\":1}"}}]},"finish_reason":"tool_calls"}]}""", null, "tool_calls")]
    [InlineData("""{"choices":[{"message":{"content":"","refusal":"no"},"finish_reason":"stop"}]}""", "", "stop")]
    [InlineData("""{"object":"list","data":[{"embedding":[0.1,-2e-5],"index":0,"text":"no"}],"usage":{"prompt_tokens":5,"total_tokens":5}}""", null, null)]
    [InlineData("""{"results":[{"flagged":false}]}""", null, null)]
    [InlineData("""{"output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"a"},{"type":"output_text","text":"b"}]},{"type":"message","content":[{"text":"c","type":"output_text"},{"type":"refusal","refusal":"no"}]}],"status":"completed","error":null}""", "abc", "completed")]
    [InlineData("""{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}""", null, "incomplete")]
    [InlineData("""{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"status":"done","usage":{"prompt_tokens":3}}""", "x", "stop")]
    public void Text_and_finish_reason_of_each_endpoint(string body, string? text, string? reason)
    {
        BatchResult result = Read(Answered(body));
        Assert.Equal(ResultStatus.Succeeded, result.Status);
        Assert.Equal(text, result.Text);
        Assert.Equal(reason, result.FinishReason);
    }

    [Theory]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":2,"total_tokens":4}""", 1L, 2L, 4L)]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":2}""", 1L, 2L, 3L)]
    [InlineData("""{"input_tokens":1,"input_tokens_details":{"cached_tokens":9},"output_tokens":2,"total_tokens":3}""", 1L, 2L, 3L)]
    [InlineData("""{"prompt_tokens":5,"total_tokens":5}""", 5L, null, 5L)]
    [InlineData("""{"prompt_tokens":"1","completion_tokens":null,"total_tokens":1.5}""", 1L, null, null)]
    [InlineData("""{"prompt_tokens":12.0,"completion_tokens":1.2e1,"total_tokens":"24.0"}""", 12L, 12L, 24L)]
    [InlineData("""{"prompt_tokens":1E2,"completion_tokens":0.5e1,"total_tokens":1e400}""", 100L, 5L, 105L)]
    [InlineData("""{"prompt_tokens":1e30,"completion_tokens":"x","total_tokens":[1]}""", null, null, null)]
    [InlineData("null", null, null, null)]
    public void Usage_is_read_with_both_names(string usage, long? prompt, long? completion, long? total)
    {
        BatchResult result = Read(Answered($$$"""{"usage":{{{usage}}},"choices":[]}"""));
        Assert.Equal((prompt, completion, total), (result.PromptTokens, result.CompletionTokens, result.TotalTokens));
    }

    [Fact]
    public void A_body_that_is_a_string_with_JSON_is_read_as_JSON()
    {
        BatchResult result = Read($$"""{"custom_id":"a","response":{"status_code":200,"body":{{JsonSerializer.Serialize(Chat)}}},"error":null}""");
        Assert.Equal((ResultStatus.Succeeded, "Paris.", 24L), (result.Status, result.Text, result.TotalTokens));
    }

    [Fact]
    public void A_body_that_is_plain_text_is_the_text() =>
        Assert.Equal("Paris.", Read("""{"custom_id":"a","response":{"status_code":200,"body":"Paris."}}""").Text);

    [Fact]
    public void A_body_without_a_status_is_an_answer() =>
        Assert.Equal(ResultStatus.Succeeded, Read($$$"""{"custom_id":"a","response":{"body":{{{Chat}}}}}""").Status);

    [Fact]
    public void Order_and_unknown_fields_do_not_matter() => Assert.Equal(
        ("a", "Paris."),
        Read($$$"""{"zzz":{"custom_id":"no"},"error":null,"response":{"zzz":[[]],"body":{{{Chat}}},"status_code":200},"custom_id":"a"}""") is var result
            ? (result.CustomId, result.Text) : default);

    [Theory]
    [InlineData("""{"custom_id":17,"response":null}""", "17")]
    [InlineData("""{"custom_id":"😀\n\u00e4"}""", "😀\nä")]
    [InlineData("""{"custom_id":null}""", "")]
    [InlineData("{}", "")]
    public void IDs_of_every_kind_are_read(string line, string id) => Assert.Equal(id, Read(line).CustomId);

    /// <summary>If a model stops within an emoji, its text ends with half a surrogate pair, and some services return it.</summary>
    [Theory]
    [InlineData("""{"choices":[{"message":{"content":"Hi \ud83d"},"finish_reason":"length"}]}""")]
    [InlineData("""{"choices":[{"text":"Hi \ud83d","finish_reason":"length"}]}""")]
    [InlineData("""{"output":[{"content":[{"type":"output_text","text":"Hi \ud83d"}]}],"status":"length"}""")]
    public void Half_a_surrogate_pair_replaces_one_character_only(string body)
    {
        BatchResult result = Read(Answered(body));
        Assert.Equal(("Hi \ufffd", "length"), (result.Text, result.FinishReason));
        Assert.Contains(@"\ud83d", result.Json, StringComparison.Ordinal);
        Assert.Equal("request-2", Read(Answered(JsonSerializer.Serialize(body))).CustomId);
        Assert.Equal("Hi \ufffd", Read($$$"""{"custom_id":"a","response":{"status_code":200,"body":"Hi \ud83d"}}""").Text);
        Assert.Equal("Hi \ufffd", Read("""{"custom_id":"a","error":{"code":"c","message":"Hi \ud83d"}}""").Error?.Message);
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_replace_one_character_only()
    {
        byte[] line = Encoding.Latin1.GetBytes(Answered(Chat.Replace("Paris", "Zürich", StringComparison.Ordinal)));
        Assert.Equal("Z\ufffdrich.", ResultLineReader.Read(line).Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{}{}")]
    [InlineData("""{"custom_id":"a","response":{"status_code":200,"body":{"cho""")]
    [InlineData("<html>")]
    public void A_line_that_is_not_a_JSON_object_is_a_JsonException(string line) => Assert.ThrowsAny<JsonException>(() => Read(line));

    [Fact]
    public void Value_is_read_once_when_it_is_needed()
    {
        int reads = 0;
        BatchResult result = ResultLineReader.Read(Encoding.UTF8.GetBytes(Answered(Chat)), null, text =>
        {
            reads++;
            return text + "!";
        });
        Assert.Equal(0, reads);
        Assert.Equal("Paris.!", result.Value);
        Assert.Equal("Paris.!", result.Value);
        Assert.Equal(1, reads);
        Assert.Null(ResultLineReader.Read("{}"u8, null, text => text).Value);
    }

    [Fact]
    public void Lines_of_ResultLine_can_be_read()
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        ResultLine.WriteAnswer(buffer, "batch_req_1"u8, "\"ä\\\"1\""u8, 200, "req_1"u8, Encoding.UTF8.GetBytes(Chat));
        ResultLine.WriteError(buffer, "batch_req_2"u8, "\"b\""u8, "batch_cancelled"u8, "\"m\""u8);
        string[] lines = Encoding.UTF8.GetString(buffer.WrittenSpan).Split('\n');
        Assert.Equal(("ä\"1", "Paris."), (Read(lines[0]).CustomId, Read(lines[0]).Text));
        Assert.Equal(("b", ResultStatus.Cancelled), (Read(lines[1]).CustomId, Read(lines[1]).Status));
    }

    private static string Answered(string body, int status = 200) =>
        $$$"""{"id":"batch_req_123","custom_id":"request-2","response":{"status_code":{{{status}}},"request_id":"req_123","body":{{{body}}}},"error":null}""";

    private static BatchResult Read(string line) => ResultLineReader.Read(Encoding.UTF8.GetBytes(line));
}
