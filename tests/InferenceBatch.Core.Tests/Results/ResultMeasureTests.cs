using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>The counts of results.</summary>
public sealed class ResultMeasureTests
{
    [Fact]
    public void Outcomes_failures_and_tokens_are_counted()
    {
        BatchResultMeasure sum = Sum(
            new PriceTable(new ModelPrice(1_000_000, 2_000_000)),
            Answer(10, 5), Answer(1, 1), Failed("rate_limit"), Failed("bad"), Failed("bad"),
            Of(ResultStatus.Expired), Of(ResultStatus.Cancelled), Of(ResultStatus.Missing), Of(ResultStatus.Succeeded));
        Assert.Equal((9L, 3L, 3L, 1L, 1L, 1L), (sum.Count, sum.Succeeded, sum.Failed, sum.Expired, sum.Cancelled, sum.Missing));
        Assert.Equal([new FailureCount("bad", 2, "no"), new FailureCount("rate_limit", 1, "no")], sum.Failures);
        Assert.Equal((11L, 6L, 17L, 1L), (sum.InputTokens, sum.OutputTokens, sum.TotalTokens, sum.WithoutUsage));
        Assert.Equal(23m, sum.Cost);
        Assert.Equal(["m"], sum.Models);
    }

    [Fact]
    public void Without_results_tokens_and_cost_are_unknown()
    {
        BatchResultMeasure sum = Sum(new PriceTable(new ModelPrice(1, 1)));
        Assert.Equal((0L, null, null, null), (sum.Count, sum.InputTokens, sum.TotalTokens, sum.Cost));
    }

    /// <summary>Without the tokens of one model, the sum would look complete, but be too low.</summary>
    [Fact]
    public void A_model_without_a_price_makes_the_cost_unknown_and_is_named()
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, """{"m":{"input":1,"output":1}}""");
        try
        {
            BatchResultMeasure sum = Sum(PriceTable.Read(path), Answer(1, 1), Answer(1, 1, "other"));
            Assert.Null(sum.Cost);
            Assert.Equal(["other"], sum.UnpricedModels);
            Assert.Equal(["m", "other"], sum.Models);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_dated_model_is_priced_by_the_requested_model()
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, """{"m":{"input":1000000,"output":1000000}}""");
        try
        {
            BatchResult result = Answer(1, 1, "m-2024-08-06");
            result.Request = new BatchRequest { CustomId = "a", Url = "", BodyUtf8 = """{"model":"m"}"""u8.ToArray() };
            Assert.Equal(2m, Sum(PriceTable.Read(path), result).Cost);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void The_number_of_codes_is_limited()
    {
        BatchResultMeasure sum = Sum(new PriceTable(), [.. Enumerable.Range(0, 1000).Select(i => Failed($"code-{i:0000}"))]);
        Assert.Equal(101, sum.Failures.Count);
        Assert.Equal(("other", 900L), (sum.Failures[0].Code, sum.Failures[0].Count));
        Assert.Equal(1000, sum.Failed);
    }

    /// <summary>A code that names no cause is not a reason: the status is, with its phrase.</summary>
    [Theory]
    [InlineData("error", 404, "no", "2 404 Not Found")]
    [InlineData("upstream_error", 502, "no", "2 502 Bad Gateway")]
    [InlineData("http_503", 503, "no", "2 503 Service Unavailable")]
    [InlineData("429", null, "no", "2 429 Too Many Requests")]
    [InlineData("429", 400, "no", "2 429 Too Many Requests (HTTP 400)")]
    [InlineData("error", 529, "no", "2 HTTP 529")]
    [InlineData("error", null, "Input file\nnot \u001bfound", "2 error: Input file not \ufffdfound")]
    [InlineData("error", null, "", "2 error")]
    [InlineData("bad\u001b[2J", 400, "no", "2 bad\ufffd[2J (HTTP 400)")]
    [InlineData("server_error", 500, "no", "2 server_error (HTTP 500)")]
    [InlineData("no_answer", 200, "no", "2 no_answer")]
    public void A_failure_has_a_reason(string code, int? status, string message, string reason)
    {
        var failed = new BatchResult { CustomId = "a", Status = ResultStatus.Failed, StatusCode = status, Error = new ServiceError(code, message) };
        Assert.Equal(reason, Assert.Single(Sum(new PriceTable(), failed, failed).Failures).ToString());
    }

    [Fact]
    public void Failures_without_a_code_are_counted_by_status()
    {
        BatchResult Of(string code, int status) => new() { CustomId = "a", Status = ResultStatus.Failed, StatusCode = status, Error = new ServiceError(code, "no") };
        BatchResultMeasure sum = Sum(new PriceTable(), Of("error", 404), Of("error", 500), Of("error", 404), Of("bad", 400), Of("bad", 422));
        Assert.Equal(["2 404 Not Found", "2 bad (HTTP 400)", "1 500 Internal Server Error"], sum.Failures.Select(failure => failure.ToString()).OrderBy(text => text[0] == '1').ThenBy(text => text, StringComparer.Ordinal));
    }

    [Fact]
    public void Answers_that_are_not_the_expected_JSON_are_counted()
    {
        var cut = new BatchResult { CustomId = "a", Status = ResultStatus.Succeeded, Text = "{\"a\":", FinishReason = "length" };
        Assert.Equal(1, Sum(new PriceTable(), cut, Answer(1, 1)).ValueErrors);
    }

    private static BatchResultMeasure Sum(PriceTable prices, params BatchResult[] results)
    {
        var measure = new ResultMeasure(prices);
        Array.ForEach(results, measure.Add);
        return measure.Sum();
    }

    private static BatchResult Answer(int input, int output, string model = "m") => ResultLineReader.Read(Encoding.UTF8.GetBytes(
        $$$"""{"custom_id":"a","response":{"status_code":200,"body":{"model":"{{{model}}}","choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":{{{input}}},"completion_tokens":{{{output}}} } } } }"""));

    private static BatchResult Failed(string code) => new() { CustomId = "a", Status = ResultStatus.Failed, Error = new ServiceError(code, "no") };

    private static BatchResult Of(ResultStatus status) => new() { CustomId = "a", Status = status };
}
