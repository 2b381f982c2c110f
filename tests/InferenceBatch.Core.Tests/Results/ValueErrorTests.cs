using System.Text;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>How an answer that should be JSON, but is not, differs from a success.</summary>
public sealed class ValueErrorTests
{
    private const string CutOff = "the answer was cut off by the token limit";
    private const string Schema = """{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"}}}}""";

    [Theory]
    [InlineData(Schema)]
    [InlineData("""{"response_format":{"type":"json_object"},"model":"m"}""")]
    [InlineData("""{"input":"x","text":{"verbosity":"low","format":{"name":"r","schema":{"type":"object"},"type":"json_schema"}}}""")]
    [InlineData("""{"input":"x","text":{"format":{"type":"json_object"}}}""")]
    public void Every_way_to_request_JSON_is_recognized(string body)
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
    public void A_request_for_text_has_no_value_error(string body)
    {
        Assert.Null(Of("""{"a":""", "length", body).ValueError);
        Assert.Null(Of("Paris.", "stop", body).ValueError);
    }

    [Theory]
    [InlineData("length", CutOff)]
    [InlineData("incomplete", "the answer was cut off before its end")]
    [InlineData("content_filter", "the answer was cut off by the service's content filter")]
    public void A_truncated_answer_has_a_reason(string finishReason, string problem)
    {
        Assert.Equal(problem, Of("""{"a":[1,""", finishReason, Schema).ValueError);
        Assert.Equal(problem, Of("", finishReason, Schema).ValueError);
    }

    /// <summary>In JSON mode, models may add white space up to the limit. The value is complete nevertheless.</summary>
    [Fact]
    public void A_complete_value_before_the_limit_is_valid() => Assert.Null(Of("{\"a\":1}   \n \n", "length", Schema).ValueError);

    /// <summary>PowerShell has no type for these numbers, so the answer has no value.</summary>
    [Theory]
    [InlineData("1e400", "1e400")]
    [InlineData("-1E+999", "-1E+999")]
    [InlineData("[0, 12.5e308]", "12.5e308")]
    [InlineData("100000000000000000000000000000000000e300", "100000000000000000000000000000…")]
    public void A_number_that_is_out_of_range_is_a_value_error(string number, string named)
    {
        Assert.Equal($"the answer has a number that is out of range: {named}", Of($$"""{"a":{{number}}}""", "stop", Schema).ValueError);
        Assert.Equal(CutOff, Of($$"""{"a":{{number}}""", "length", Schema).ValueError);
        Assert.NotNull(Of($$"""{"a":{{new string('9', 1001)}}}""", "stop", Schema).ValueError);
    }

    [Theory]
    [InlineData("1e308")]
    [InlineData("1e-400")]
    [InlineData("9223372036854775808")]
    [InlineData("-99999999999999999999999999999999999999999999999999")]
    public void Other_numbers_are_valid(string number)
    {
        Assert.Null(Of($$"""{"a":{{number}}}""", "stop", Schema).ValueError);
        Assert.Null(Of($$"""{"a":{{new string('9', 400)}}}""", "stop", Schema).ValueError);
    }

    [Theory]
    [InlineData("```json\n{}\n```", "it is inside a ``` code block")]
    [InlineData("Sure! {}", "it begins with other text")]
    [InlineData("{\"a\":1} and more", "error at line 1, byte 9")]
    [InlineData("{\"a\":\n 1,, ", "error at line 2, byte 4")]
    [InlineData("{\"a\":[1,\"x", "it ends too early")]
    [InlineData("{\"a\":\"\\ud83d\"}", "it contains half a surrogate pair")]
    [InlineData("42", "it is a single value, not an object or array")]
    [InlineData("", "it is empty")]
    public void An_answer_without_an_object_or_array_is_a_value_error(string text, string why)
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
    public void Without_a_request_only_text_that_starts_as_JSON_counts(string text, string finishReason, string? problem) =>
        Assert.Equal(problem, Of(text, finishReason, null).ValueError);

    [Fact]
    public void A_request_that_is_set_later_is_evaluated()
    {
        BatchResult result = Of("no", "stop", null);
        Assert.Null(result.ValueError);
        result.Request = Request(Schema);
        Assert.NotNull(result.ValueError);
    }

    [Fact]
    public void A_tool_call_and_a_failed_line_have_no_value_error()
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
