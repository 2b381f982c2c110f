using System.Text;
using System.Text.Json;

namespace InferenceBatch.Lines;

public sealed class RequestLineTests
{
    [Fact]
    public void Parse_returns_positions_in_the_line_and_unescaped_values()
    {
        byte[] line = """ { "method":"POST", "body": {"model":"a\/b","x":[{"model":"c"}]} ,"custom_id" : "r\u00e4\"1" ,"url":"\/v1\/embeddings"} """u8.ToArray();
        Assert.True(RequestLine.Parse(line, out RequestLine request, out LineProblem problem));
        Assert.Equal(LineProblem.None, problem);
        Assert.Equal("rä\"1", Encoding.UTF8.GetString(request.CustomId));
        Assert.Equal("""
            "r\u00e4\"1"
            """, Encoding.UTF8.GetString(line[request.IdToken]));
        Assert.Equal("""{"model":"a\/b","x":[{"model":"c"}]}""", Encoding.UTF8.GetString(request.Body));
        Assert.Equal("/v1/embeddings", Encoding.UTF8.GetString(request.Url));
        Assert.Equal("a/b", Encoding.UTF8.GetString(request.Model));
        Assert.True(request.IsPost);
        Assert.False(request.IsStreaming);
    }

    [Fact]
    public void The_last_of_several_equal_names_applies()
    {
        byte[] line = """{"custom_id":"a","custom_id":"b","method":"GET","method":"POST","url":"/x","url":"/v1/embeddings","body":{"model":"m","stream":true},"body":{"model":"n","stream":true,"stream":false,"model":"o"}}"""u8.ToArray();
        Assert.True(RequestLine.Parse(line, out RequestLine request, out _));
        Assert.Equal("b", Encoding.UTF8.GetString(request.CustomId));
        Assert.Equal("\"b\"", Encoding.UTF8.GetString(line[request.IdToken]));
        Assert.True(request.IsPost);
        Assert.Equal("/v1/embeddings", Encoding.UTF8.GetString(request.Url));
        Assert.Equal("o", Encoding.UTF8.GetString(request.Model));
        Assert.False(request.IsStreaming);
        Assert.Equal("""{"model":"n","stream":true,"stream":false,"model":"o"}""", Encoding.UTF8.GetString(request.Body));
    }

    [Fact]
    public void A_later_value_of_another_type_replaces_the_first_one_completely()
    {
        Assert.True(RequestLine.Parse("""{"custom_id":"a","url":"/v1/x","body":{"model":"m"},"custom_id":5,"url":null,"body":[1]}"""u8, out RequestLine request, out _));
        Assert.Equal(JsonTokenType.Number, request.IdKind);
        Assert.True(request.CustomId.IsEmpty);
        Assert.Equal(default, request.IdToken);
        Assert.Equal(JsonTokenType.Null, request.UrlKind);
        Assert.True(request.Url.IsEmpty);
        Assert.Equal(JsonTokenType.StartArray, request.BodyKind);
        Assert.True(request.Body.IsEmpty);
        Assert.Equal(JsonTokenType.None, request.ModelKind);
        Assert.True(request.Model.IsEmpty);
    }

    [Theory]
    [InlineData("""{"\u0063ustom_id":"a"}""", "a")]
    [InlineData("""{"x":{"custom_id":"inner"},"custom_id":"outer"}""", "outer")]
    [InlineData("""{"custom_id":"outer","x":[{"custom_id":"inner"}]}""", "outer")]
    [InlineData("""{"custom_id":""}""", "")]
    [InlineData("""{"custom_id":"\ud83d\ude00"}""", "😀")]
    [InlineData("""{"custom_id":"\u0000"}""", "\0")]
    [InlineData("""{}""", "")]
    public void Finds_the_same_ID_as_System_Text_Json(string line, string id)
    {
        Assert.True(RequestLine.Parse(Encoding.UTF8.GetBytes(line), out RequestLine request, out _));
        Assert.Equal(id, Encoding.UTF8.GetString(request.CustomId));
    }

    [Theory]
    [InlineData("", LineProblem.InvalidJson)]
    [InlineData("nonsense", LineProblem.InvalidJson)]
    [InlineData("{", LineProblem.InvalidJson)]
    [InlineData("{\"a\":1", LineProblem.InvalidJson)]
    [InlineData("{\"a\":1}}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":1} {\"b\":2}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":1,}", LineProblem.InvalidJson)]
    [InlineData("{'a':1}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":1} // no", LineProblem.InvalidJson)]
    [InlineData("{\"a\":NaN}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":01}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":\"\t\"}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":\"\0\"}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":1}\0", LineProblem.InvalidJson)]
    [InlineData("{\"a\":\"\\x41\"}", LineProblem.InvalidJson)]
    [InlineData("{\"a\":\"\\u12g4\"}", LineProblem.InvalidJson)]
    [InlineData("\ufeff{\"a\":1}", LineProblem.InvalidJson)]
    [InlineData("\u00a0{\"a\":1}", LineProblem.InvalidJson)]
    [InlineData("[]", LineProblem.NotAnObject)]
    [InlineData("[{\"custom_id\":\"a\"}]", LineProblem.NotAnObject)]
    [InlineData("\"text\"", LineProblem.NotAnObject)]
    [InlineData("null", LineProblem.NotAnObject)]
    [InlineData("5", LineProblem.NotAnObject)]
    [InlineData("[1,", LineProblem.InvalidJson)]
    [InlineData("5 6", LineProblem.InvalidJson)]
    public void An_invalid_line_has_the_right_problem(string line, LineProblem problem) => AssertRefused(Encoding.UTF8.GetBytes(line), problem);

    [Theory]
    [InlineData(new byte[] { 0xFF })]
    [InlineData(new byte[] { 0xC0, 0xAF })]
    [InlineData(new byte[] { 0xE2, 0x82 })]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 })]
    [InlineData(new byte[] { 0xF5, 0x80, 0x80, 0x80 })]
    public void Invalid_UTF8_is_refused(byte[] bytes) =>
        AssertRefused([.. "{\"a\":\""u8, .. bytes, .. "\"}"u8], LineProblem.InvalidUtf8);

    [Theory]
    [InlineData("""{"a":"\ud83d"}""")]
    [InlineData("""{"a":"\uDE00"}""")]
    [InlineData("""{"a":"\ude00\ud83d"}""")]
    [InlineData("""{"a":"\ud83dx"}""")]
    [InlineData("""{"a":"\ud83d\n"}""")]
    [InlineData("""{"a":"\ud83d\u0041"}""")]
    [InlineData("""{"a":"\ud83d\ud83d\ude00"}""")]
    [InlineData("""{"a":"\\\ud83d"}""")]
    [InlineData("""{"\ud800":1}""")]
    [InlineData("""{"custom_i\ud800":1}""")]
    [InlineData("""{"body":{"\ud800":1}}""")]
    [InlineData("""{"body":{"a":{"\udc00":1}}}""")]
    [InlineData("""{"custom_id":"\ud800"}""")]
    [InlineData("""{"method":"\ud800"}""")]
    [InlineData("""{"url":"\ud800"}""")]
    [InlineData("""{"body":{"model":"\ud800"}}""")]
    [InlineData("""{"body":{"stream":"\ud800"}}""")]
    public void An_escaped_half_of_a_surrogate_pair_is_refused_anywhere(string line) =>
        AssertRefused(Encoding.UTF8.GetBytes(line), LineProblem.LoneSurrogate);

    [Theory]
    [InlineData("""{"\ud800":1""")]
    [InlineData("""{"a":"\ud800"} x""")]
    public void Invalid_JSON_takes_precedence_over_half_a_surrogate_pair(string line) => AssertRefused(Encoding.UTF8.GetBytes(line), LineProblem.InvalidJson);

    [Theory]
    [InlineData("""{"a":"\ud83d\ude00"}""")]
    [InlineData("""{"a":"\uD83D\uDE00\uD83D\uDE00"}""")]
    [InlineData("""{"a":"\\ud83d"}""")]
    [InlineData("""{"a":"\\\\ud83d \ud7ff \ue000 \uD7FF"}""")]
    [InlineData("""{"\ud83d\ude00":"😀"}""")]
    public void Complete_pairs_and_escaped_backslashes_are_valid(string line) =>
        Assert.True(RequestLine.Parse(Encoding.UTF8.GetBytes(line), out _, out _));

    [Fact]
    public void Nesting_over_the_limit_is_refused()
    {
        Assert.True(RequestLine.Parse(Nested(RequestLine.MaxDepth), out _, out _));
        AssertRefused(Nested(RequestLine.MaxDepth + 1), LineProblem.InvalidJson);
        AssertRefused(Nested(100_000), LineProblem.InvalidJson);
    }

    [Theory]
    [InlineData("1e400")]
    [InlineData("-0.0")]
    [InlineData("123456789012345678901234567890123456789012345678901234567890")]
    [InlineData("0.1e-99999999999")]
    public void Numbers_of_any_size_are_valid(string number) =>
        Assert.True(RequestLine.Parse(Encoding.UTF8.GetBytes("{\"body\":{\"seed\":" + number + "}}"), out _, out _));

    /// <summary>A body nested so deep that the line's own depth is <paramref name="depth"/>.</summary>
    private static byte[] Nested(int depth) => Encoding.UTF8.GetBytes(
        "{\"body\":{\"a\":" + new string('[', depth - 2) + new string(']', depth - 2) + "}}");

    private static void AssertRefused(byte[] line, LineProblem expected)
    {
        Assert.False(RequestLine.Parse(line, out _, out LineProblem problem));
        Assert.Equal(expected, problem);
    }
}
