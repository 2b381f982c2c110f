using System.Text;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>What tells an answer that was to be JSON, and is not, from a success.</summary>
public sealed class ValueErrorTests
{
    private const string CutOff = "the answer was cut off by the token limit";
    private const string Schema = """{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"}}}}""";

    [Theory]
    [InlineData(Schema)]
    [InlineData("""{"response_format":{"type":"json_object"},"model":"m"}""")]
    [InlineData("""{"input":"x","text":{"verbosity":"low","format":{"name":"r","schema":{"type":"object"},"type":"json_schema"}}}""")]
    [InlineData("""{"input":"x","text":{"format":{"type":"json_object"}}}""")]
    public void Every_way_to_ask_for_JSON_counts(string body)
    {
        Assert.Equal(CutOff, Of("""{"a":""", "length", body).ValueError);
        Assert.StartsWith("the answer is not JSON: ", Of("Sure! {}", "stop", body).ValueError, StringComparison.Ordinal);
        Assert.Null(Of("""{"a":1}""", "stop", body).ValueError);
    }

    [Theory]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"response_format json_object"}]}""")]
    [InlineData("""{"response_format":{"type":"text"}}""")]
    [InlineData("""{"response_format":null,"text":"json_schema"}""")]
    [InlineData("""{"text":{"format":{"type":"text"}},"x":{"response_format":{"type":"json_object"}}}""")]
    [InlineData("nonsense")]
    public void A_request_for_text_has_no_value_to_miss(string body)
    {
        Assert.Null(Of("""{"a":""", "length", body).ValueError);
        Assert.Null(Of("Paris.", "stop", body).ValueError);
    }

    [Theory]
    [InlineData("length", CutOff)]
    [InlineData("incomplete", "the answer was cut off before its end")]
    [InlineData("content_filter", "the answer was cut off by the service's content filter")]
    public void An_answer_without_its_end_says_why(string finishReason, string problem)
    {
        Assert.Equal(problem, Of("""{"a":[1,""", finishReason, Schema).ValueError);
        Assert.Equal(problem, Of("", finishReason, Schema).ValueError);
    }

    /// <summary>JSON mode is known to end in white space up to the limit; the value is whole all the same.</summary>
    [Fact]
    public void A_whole_value_before_the_limit_is_no_problem() => Assert.Null(Of("{\"a\":1}   \n \n", "length", Schema).ValueError);

    [Theory]
    [InlineData("```json\n{}\n```", "it is between ``` lines")]
    [InlineData("Sure! {}", "it starts with other text")]
    [InlineData("{\"a\":1} and more", "line 1 goes wrong at byte 9")]
    [InlineData("{\"a\":\n 1,, ", "line 2 goes wrong at byte 4")]
    [InlineData("{\"a\":[1,\"x", "it is incomplete")]
    [InlineData("{\"a\":\"\\ud83d\"}", "it contains half a surrogate pair")]
    [InlineData("42", "it is a single value, not an object or an array")]
    [InlineData("", "it is empty")]
    public void What_gives_no_object_and_no_array_says_so(string text, string why)
    {
        BatchResult result = Of(text, "stop", Schema);
        Assert.Equal("the answer is not JSON: " + why, result.ValueError);
        Assert.Equal((ResultStatus.Succeeded, null), (result.Status, result.Error));
    }

    [Theory]
    [InlineData("{\"a\":", "length", CutOff)]
    [InlineData(" [1,2", "length", CutOff)]
    [InlineData("Paris.", "length", null)]
    [InlineData("{\"a\":1}", "stop", null)]
    [InlineData("", "stop", null)]
    public void Without_a_request_only_what_begins_as_JSON_counts(string text, string finishReason, string? problem) =>
        Assert.Equal(problem, Of(text, finishReason, null).ValueError);

    [Fact]
    public void Joining_the_request_afterwards_decides_anew()
    {
        BatchResult result = Of("no", "stop", null);
        Assert.Null(result.ValueError);
        result.Request = Request(Schema);
        Assert.NotNull(result.ValueError);
    }

    [Fact]
    public void A_tool_call_and_a_failed_line_have_none()
    {
        var call = new BatchResult { CustomId = "a", Status = ResultStatus.Succeeded, FinishReason = "tool_calls", Request = Request(Schema) };
        var failed = new BatchResult { CustomId = "a", Status = ResultStatus.Failed, Text = "{", Request = Request(Schema) };
        Assert.Null(call.ValueError);
        Assert.Null(failed.ValueError);
    }

    private static BatchResult Of(string text, string finishReason, string? requestBody)
    {
        string line = $$$"""{"custom_id":"a","response":{"status_code":200,"body":{"choices":[{"message":{"content":{{{JsonSerializer.Serialize(text)}}} },"finish_reason":"{{{finishReason}}}"}]} } }""";
        BatchResult result = ResultLineReader.Read(Encoding.UTF8.GetBytes(line));
        result.Request = requestBody is null ? null : Request(requestBody);
        return result;
    }

    private static BatchRequest Request(string body) => new() { CustomId = "a", Url = "/v1/chat/completions", BodyUtf8 = Encoding.UTF8.GetBytes(body) };
}
