using System.Buffers;
using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Server.Statistics;

namespace InferenceBatch.Server.Tests;

/// <summary>Which bodies with a 2xx status are answers, and how the others are counted.</summary>
public sealed class AnswerTests
{
    private const string Chat = "/v1/chat/completions";

    private const string Good =
        """{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5},"error":null}""";

    [Theory]
    [InlineData(Chat, """{"error":{"code":502,"message":"m"},"usage":{"prompt_tokens":3,"completion_tokens":0}}""", "502", 502)]
    [InlineData(Chat, """{"error":true,"status":503}""", "503", 503)]
    [InlineData(Chat, """{"choices":null,"usage":{"prompt_tokens":3}}""", "no_answer", null)]
    [InlineData(Chat, "[]", "no_answer", null)]
    [InlineData(Chat, "\"text\"", "error", null)]
    [InlineData(Chat, """{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}""", "no_answer", null)]
    [InlineData("/v1/completions", """{"choices":[]}""", "no_answer", null)]
    [InlineData("/v1/responses", """{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}""", "rate_limit_exceeded", 429)]
    [InlineData("/v1/responses", """{"status":"in_progress","output":[]}""", "no_answer", 400)]
    [InlineData("/v1/responses", """{"output":null}""", "no_answer", null)]
    [InlineData("/v1/embeddings", """{"data":[],"usage":{"prompt_tokens":3}}""", "no_answer", null)]
    [InlineData("/v1/moderations", """{"results":[]}""", "no_answer", null)]
    [InlineData("/v1/rerank", "{}", "no_answer", null)]
    public void A_body_that_is_not_an_answer_has_a_problem(string endpoint, string body, string code, int? status)
    {
        Assert.True(LineUsage.TryReadBody(Encoding.UTF8.GetBytes(body), endpoint, out LineUsage usage, out AnswerProblem? problem));
        Assert.Equal((code, status), (problem?.Error.Code, problem?.StatusCode));
        Assert.NotEmpty(problem!.Error.Message);
        Assert.Equal(body.Contains("prompt_tokens", StringComparison.Ordinal) ? 3 : 0, usage.Input); // A failed line may have been billed.
    }

    /// <summary>Some services write whole numbers as floats.</summary>
    [Theory]
    [InlineData("12", 12)]
    [InlineData("12.0", 12)]
    [InlineData("1.2e1", 12)]
    [InlineData("\"12\"", 12)]
    [InlineData("12.5", 0)]
    [InlineData("-1", 0)]
    [InlineData("1e400", 0)]
    [InlineData("[12]", 0)]
    public void A_token_count_is_any_whole_number(string number, long count)
    {
        byte[] body = Encoding.UTF8.GetBytes($$$"""{"choices":[{"text":"x"}],"usage":{"prompt_tokens":{{{number}}},"completion_tokens":1}}""");
        Assert.True(LineUsage.TryReadBody(body, Chat, out LineUsage usage, out _));
        Assert.Equal((count, 1, count + 1), (usage.Input, usage.Output, usage.Total));
    }

    [Theory]
    [InlineData(Chat, Good)]
    [InlineData(Chat, """{"usage":{"prompt_tokens":3}}""")]
    [InlineData(Chat, """{"text":"x"}""")]
    [InlineData("/v1/responses", """{"status":"incomplete","output":[],"error":null}""")]
    [InlineData("/v1/responses", """{"status":"completed","output":[{"type":"message"}]}""")]
    [InlineData("/v1/embeddings", """{"object":"list","data":[{"embedding":[1]}]}""")]
    [InlineData("/v1/moderations", """{"results":[{"flagged":true}]}""")]
    [InlineData("/v1/search", """{"data":[],"results":[]}""")]
    public void An_answer_has_no_problem(string endpoint, string body)
    {
        Assert.True(LineUsage.TryReadBody(Encoding.UTF8.GetBytes(body), endpoint, out _, out AnswerProblem? problem));
        Assert.Null(problem);
    }

    [Theory]
    [InlineData(Chat, Good)]
    [InlineData("/v1/embeddings", """{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":3}}""")]
    [InlineData("/v1/responses", """{"id":"r","object":"response","status":"completed","error":null,"type":"x","message":null,"output":[{"type":"message"}]}""")]
    public void Reading_an_answer_allocates_nothing(string endpoint, string text)
    {
        byte[] body = Encoding.UTF8.GetBytes(text);
        long allocated = 0;
        for (int i = 0; i < 2; i++) // The first call may allocate for compilation.
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            LineUsage.TryReadBody(body, endpoint, out _, out AnswerProblem? problem);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Null(problem);
        }

        Assert.Equal(0, allocated);
    }

    /// <summary>The line is stored with the status that its body names, or 502 if it names none, so that a restart reads the same failure.</summary>
    [Theory]
    [InlineData("""{"error":{"code":502,"message":"m"},"usage":{"prompt_tokens":3,"completion_tokens":1}}""")]
    [InlineData("""{"error":"in a sentence"}""")]
    [InlineData("""{"choices":null,"usage":{"prompt_tokens":7}}""")]
    [InlineData("""{"status":"failed","error":{"code":"a code that may quote the prompt","message":"m"}}""")]
    [InlineData("[]")]
    public void A_restart_counts_a_line_as_it_was_counted_before(string text)
    {
        byte[] body = Encoding.UTF8.GetBytes(text);
        Assert.True(LineUsage.TryReadBody(body, Chat, out LineUsage usage, out AnswerProblem? problem));
        int status = problem!.StatusCode ?? 502;
        LineOutcome outcome = LineOutcome.OfAnswer(status, body, usage, TimeSpan.Zero);
        var line = new ArrayBufferWriter<byte>();
        ResultLine.WriteAnswer(line, "batch_req_k_1"u8, "\"a\""u8, status, "r"u8, body);
        Assert.False(outcome.IsSuccess);
        Assert.Equal(outcome with { Latency = null }, LineOutcome.ReadResultLine(line.WrittenSpan[..^1], isSuccess: false, out _));
    }
}
