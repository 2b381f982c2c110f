using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>Estimates include the real number of tokens, and are null if it cannot be known.</summary>
public sealed class FileMeasureTests
{
    /// <summary>The lines of OpenAI's Batch API guide, and the prompt_tokens of its sample output.</summary>
    [Theory]
    [InlineData("You are a helpful assistant.", 20)]
    [InlineData("You are an unhelpful assistant.", 22)]
    public void The_documented_example_is_within_the_range(string system, int tokens)
    {
        BatchFileMeasure measure = Measure(Chat($$"""{"role":"system","content":"{{system}}"},{"role":"user","content":"Hello world!"}""", "\"max_tokens\":1000"));
        Assert.InRange(tokens, measure.InputTokensLow, measure.InputTokensHigh!.Value);
        Assert.Equal((1, 1000), (measure.OutputTokensLow, measure.OutputTokensHigh));
    }

    /// <summary>OpenAI's rule of thumb: four characters of English per token.</summary>
    [Fact]
    public void English_text_is_within_a_range_that_is_not_too_wide()
    {
        string english = string.Concat(Enumerable.Repeat("The quick brown fox jumps over the lazy dog, and then it rests. ", 1000));
        BatchFileMeasure measure = Measure(Chat($$"""{"role":"user","content":"{{english}}"}"""));
        Assert.InRange(english.Length / 4, measure.InputTokensLow, measure.InputTokensHigh!.Value);
        Assert.True(measure.InputTokensHigh < 4 * measure.InputTokensLow);
    }

    [Fact]
    public void Escapes_do_not_change_the_estimate()
    {
        BatchFileMeasure plain = Measure(Chat("""{"role":"user","content":"你好 Grüße 😀"}"""));
        BatchFileMeasure escaped = Measure(Chat("""{"role":"user","content":"\u4f60\u597d Gr\u00fc\u00dfe \ud83d\ude00"}"""));
        Assert.Equal((plain.InputTokensLow, plain.InputTokensHigh), (escaped.InputTokensLow, escaped.InputTokensHigh));
    }

    [Theory]
    [InlineData("\"max_tokens\":7", 7L)]
    [InlineData("\"max_completion_tokens\":7", 7L)]
    [InlineData("\"max_output_tokens\":7", 7L)]
    [InlineData("\"max_tokens\":5,\"max_completion_tokens\":7", 7L)]
    [InlineData("\"max_tokens\":7,\"n\":3", 21L)]
    [InlineData("\"max_tokens\":null", null)]
    [InlineData("\"max_tokens\":\"many\"", null)]
    [InlineData("\"top_p\":1", null)]
    public void The_limit_of_a_request_is_the_high_value_of_its_output(string field, long? high)
    {
        string line = Chat("""{"role":"user","content":"x"}""", field);
        BatchFileMeasure measure = Measure(line);
        Assert.Equal(high, measure.OutputTokensHigh);
        Assert.Equal(high is null ? 1 : 0, measure.RequestsWithoutLimit);
        Assert.Equal(high ?? 50, Measure(line, maxTokens: 50).OutputTokensHigh);
    }

    [Fact]
    public void One_line_without_a_limit_makes_the_sum_unknown()
    {
        BatchFileMeasure measure = Measure(Chat("""{"role":"user","content":"x"}""", "\"max_tokens\":5") + "\n" + Chat("""{"role":"user","content":"y"}"""), price: new ModelPrice(1, 1));
        Assert.Equal((2L, null), (measure.OutputTokensLow, measure.OutputTokensHigh));
        Assert.NotNull(measure.CostLow);
        Assert.Null(measure.CostHigh);
    }

    [Fact]
    public void Tokens_given_as_numbers_are_counted_and_embeddings_have_no_output()
    {
        BatchFileMeasure measure = Measure("""{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":[[1,2,3],[4,5]]}}""");
        Assert.Equal((5L, 0L, 0L), (measure.InputTokensLow, measure.OutputTokensLow, measure.OutputTokensHigh));
        Assert.Equal(0, measure.RequestsWithoutLimit);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}""")]
    [InlineData("""{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}""")]
    [InlineData("""{"input":"x","previous_response_id":"resp_1"}""")]
    [InlineData("""{"prompt":{"id":"pmpt_1"}}""")]
    public void Media_and_stored_context_make_the_high_value_unknown(string body)
    {
        BatchFileMeasure measure = Measure($$"""{"custom_id":"a","method":"POST","url":"/v1/responses","body":{{body}}}""", price: new ModelPrice(1, 1), maxTokens: 1);
        Assert.Null(measure.InputTokensHigh);
        Assert.Null(measure.CostHigh);
        Assert.Equal(1, measure.RequestsWithMedia);
        Assert.InRange(measure.InputTokensLow, 0, 12);
    }

    [Fact]
    public void Tools_count_for_both_values_and_a_schema_only_for_the_high_value()
    {
        BatchFileMeasure plain = Measure(Chat("""{"role":"user","content":"x"}"""));
        BatchFileMeasure tools = Measure(Chat("""{"role":"user","content":"x"}""", """  "tools":[{"type":"function","function":{"name":"weather","parameters":{}}}]"""));
        BatchFileMeasure schema = Measure(Chat("""{"role":"user","content":"x"}""", """  "response_format":{"type":"json_schema","json_schema":{"name":"r"}}"""));
        Assert.True(tools.InputTokensLow > plain.InputTokensLow);
        Assert.Equal(plain.InputTokensLow, schema.InputTokensLow);
        Assert.True(schema.InputTokensHigh > plain.InputTokensHigh);
    }

    [Fact]
    public void Cost_is_tokens_times_price_per_million()
    {
        BatchFileMeasure measure = Measure("""{"custom_id":"a","url":"/v1/embeddings","body":{"model":"m","input":[1,2,3,4]}}""", price: new ModelPrice(250_000, null));
        Assert.Equal(1m, measure.CostLow);
        Assert.Equal(0.25m * measure.InputTokensHigh, measure.CostHigh);
    }

    [Fact]
    public void A_model_without_a_price_is_listed()
    {
        BatchFileMeasure measure = Measure(Chat("""{"role":"user","content":"x"}"""));
        Assert.Null(measure.CostLow);
        Assert.Equal(["m"], measure.UnpricedModels);
        Assert.Equal(["m"], measure.Models);
    }

    [Fact]
    public void Invalid_lines_are_counted_and_blank_lines_are_not()
    {
        byte[] bytes = [.. "\uFEFF"u8, .. Encoding.UTF8.GetBytes(Chat("""{"role":"user","content":"x"}""") + "\r\n\r\nnonsense\n{\"body\":1}\n")];
        BatchFileMeasure measure = new FileMeasure(new PriceTable()).Measure(new MemoryStream(bytes), "p");
        Assert.Equal((1, 2, bytes.Length, "p"), (measure.RequestCount, measure.UnreadableLines, measure.Bytes, measure.Path));
    }

    [Fact]
    public void A_UTF16_file_is_an_error() =>
        Assert.Throws<TextEncodingException>(() => new FileMeasure(new PriceTable()).Measure(new MemoryStream(Encoding.Unicode.GetBytes("{}\n")), null));

    private static BatchFileMeasure Measure(string lines, ModelPrice price = default, long? maxTokens = null) =>
        new FileMeasure(new PriceTable(price)) { MaxTokens = maxTokens }.Measure(new MemoryStream(Encoding.UTF8.GetBytes(lines)), null);

    private static string Chat(string messages, string? field = null) =>
        $$"""{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{{messages}}]{{(field is null ? "" : "," + field)}} } }""";
}
