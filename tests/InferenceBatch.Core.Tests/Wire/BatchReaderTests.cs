using System.Text;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>The batch object in every known dialect.</summary>
public sealed class BatchReaderTests
{
    private const string Document = """
        {"id":"batch_abc123","object":"batch","endpoint":"/v1/chat/completions","errors":null,"input_file_id":"file-abc123","completion_window":"24h","status":"validating","output_file_id":null,"error_file_id":null,"created_at":1714508499,"in_progress_at":1714508500,"expires_at":1714536634,"completed_at":null,"failed_at":null,"expired_at":null,"request_counts":{"total":2,"completed":0,"failed":0},"metadata":{"description":"nightly eval job"}}
        """;

    [Fact]
    public void Reads_the_documented_batch()
    {
        Batch batch = Read(Document);
        Assert.Equal("batch_abc123", batch.Id);
        Assert.Equal(BatchStatus.Validating, batch.Status);
        Assert.Equal("validating", batch.RawStatus);
        Assert.False(batch.IsFinished);
        Assert.Equal("/v1/chat/completions", batch.Endpoint);
        Assert.Equal("file-abc123", batch.InputFileId);
        Assert.Null(batch.OutputFileId);
        Assert.Null(batch.ErrorFileId);
        Assert.Equal("24h", batch.CompletionWindow);
        Assert.Equal(new RequestCounts(2, 0, 0), batch.RequestCounts);
        Assert.Empty(batch.Errors);
        Assert.Equal(new DateTimeOffset(2024, 4, 30, 20, 21, 39, TimeSpan.Zero), batch.CreatedAt);
        Assert.Equal(new DateTimeOffset(2024, 4, 30, 20, 21, 40, TimeSpan.Zero), batch.InProgressAt);
        Assert.Equal(new DateTimeOffset(2024, 5, 1, 4, 10, 34, TimeSpan.Zero), batch.ExpiresAt);
        Assert.Null(batch.CompletedAt);
        Assert.Equal("nightly eval job", Assert.Single(batch.Metadata, pair => pair.Key == "description").Value);
        Assert.Null(batch.Usage);
        Assert.Equal(Document.Trim(), batch.Json);
    }

    [Fact]
    public void Reads_a_batch_of_Inference_net_with_milliseconds()
    {
        Batch batch = Read("""
            {"id":"-KdZ3_vQ8xLp0aWtR7mNc","object":"batch","endpoint":"/v1/chat/completions","errors":[],"input_file_id":"_f2","completion_window":"24h","status":"in_progress","output_file_id":"","error_file_id":"","created_at":1714508499123,"request_counts":null,"metadata":null}
            """);
        Assert.Equal("-KdZ3_vQ8xLp0aWtR7mNc", batch.Id);
        Assert.Equal(BatchStatus.InProgress, batch.Status);
        Assert.Null(batch.OutputFileId);
        Assert.Null(batch.ErrorFileId);
        Assert.Equal(new DateTimeOffset(2024, 4, 30, 20, 21, 39, 123, TimeSpan.Zero), batch.CreatedAt);
        Assert.Equal(RequestCounts.None, batch.RequestCounts);
        Assert.Empty(batch.Errors);
        Assert.Empty(batch.Metadata);
    }

    [Fact]
    public void Reads_a_job_of_Together()
    {
        Batch batch = Read("""
            {"job":{"id":"56482f47-20b2-4b08-a338-2fc36b3a4a40","status":"IN_PROGRESS","input_file_id":"file-1","endpoint":"/v1/chat/completions","progress":45.5,"created_at":"2025-01-15T10:30:00Z","job_deadline":"2025-01-16T10:30:00.5+02:00","model_id":"m","error":""},"warning":"w"}
            """);
        Assert.Equal("56482f47-20b2-4b08-a338-2fc36b3a4a40", batch.Id);
        Assert.Equal(BatchStatus.InProgress, batch.Status);
        Assert.Equal(45, batch.RequestCounts.Percent);
        Assert.Equal(new DateTimeOffset(2025, 1, 15, 10, 30, 0, TimeSpan.Zero), batch.CreatedAt);
        Assert.Equal(new DateTimeOffset(2025, 1, 16, 8, 30, 0, 500, TimeSpan.Zero), batch.ExpiresAt);
        Assert.Equal("m", batch.Model);
        Assert.Empty(batch.Errors);
        Assert.Contains("\"warning\"", batch.Json, StringComparison.Ordinal);
    }

    [Fact]
    public void A_job_field_that_is_not_an_object_is_ignored() => Assert.Equal("a", Read("""{"id":"a","job":"nightly"}""").Id);

    [Fact]
    public void IDs_and_words_contain_no_control_characters()
    {
        const string Bad = @"x\u001b]0;title\u0007";
        const string Clean = "x\uFFFD]0;title\uFFFD";
        Batch batch = Read($$$"""{"id":"{{{Bad}}}","status":"{{{Bad}}}","endpoint":"{{{Bad}}}","model":"{{{Bad}}}","input_file_id":"{{{Bad}}}","errors":{"data":[{"code":"{{{Bad}}}","message":"{{{Bad}}}\nsecond","param":"{{{Bad}}}"}]}}""");
        Assert.All([batch.Id, batch.RawStatus, batch.Endpoint, batch.Model, batch.InputFileId, batch.Errors[0].Code, batch.Errors[0].Param], text => Assert.Equal(Clean, text));
        Assert.Equal(Clean + "\nsecond", batch.Errors[0].Message);
        BatchFile file = BatchFileReader.Read(System.Text.Encoding.UTF8.GetBytes($$$"""{"id":"{{{Bad}}}","purpose":"{{{Bad}}}","status":"{{{Bad}}}"}"""));
        Assert.All([file.Id, file.Purpose, file.Status], text => Assert.Equal(Clean, text));
    }

    [Fact]
    public void Only_the_ID_is_required()
    {
        Batch batch = Read("""{"id":"a"}""");
        Assert.Equal(BatchStatus.Unknown, batch.Status);
        Assert.Equal("", batch.RawStatus);
        Assert.False(batch.IsFinished);
        Assert.Equal(RequestCounts.None, batch.RequestCounts);
        Assert.Null(batch.Elapsed);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"id":""}""")]
    [InlineData("""{"id":null}""")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"batch_1\"")]
    [InlineData("")]
    [InlineData("<html></html>")]
    [InlineData("""{"id":"a",""")]
    [InlineData("""{"\ud800":1}""")]
    public void A_response_that_is_not_a_batch_is_a_JsonException(string json) => Assert.ThrowsAny<JsonException>(() => Read(json));

    public static TheoryData<string, BatchStatus> Statuses => new()
    {
        { "validating", BatchStatus.Validating }, { "in_progress", BatchStatus.InProgress }, { "finalizing", BatchStatus.Finalizing },
        { "completed", BatchStatus.Completed }, { "failed", BatchStatus.Failed }, { "expired", BatchStatus.Expired },
        { "cancelling", BatchStatus.Cancelling }, { "cancelled", BatchStatus.Cancelled },
        { "COMPLETED", BatchStatus.Completed }, { "In_Progress", BatchStatus.InProgress }, { "in-progress", BatchStatus.InProgress },
        { " completed ", BatchStatus.Completed },
        { "PROGRESS", BatchStatus.InProgress }, { "RUNNING", BatchStatus.InProgress }, { "QUEUED", BatchStatus.Validating },
        { "PENDING", BatchStatus.Validating }, { "pre_schedule", BatchStatus.Validating }, { "SUCCESS", BatchStatus.Completed },
        { "TIMEOUT_EXCEEDED", BatchStatus.Expired }, { "canceled", BatchStatus.Cancelled }, { "canceling", BatchStatus.Cancelling },
        { "resting", BatchStatus.Unknown }, { "", BatchStatus.Unknown },
    };

    [Theory]
    [MemberData(nameof(Statuses))]
    public void Reads_statuses_in_any_case_and_their_aliases(string word, BatchStatus status)
    {
        Batch batch = Read(JsonSerializer.Serialize(new { id = "a", status = word }));
        Assert.Equal(status, batch.Status);
        Assert.Equal(word, batch.RawStatus);
        Assert.Equal(status is BatchStatus.Completed or BatchStatus.Failed or BatchStatus.Expired or BatchStatus.Cancelled, batch.IsFinished);
    }

    /// <summary>In Turkish, the upper case of i has a dot.</summary>
    [Fact]
    public void Statuses_do_not_depend_on_the_culture()
    {
        System.Globalization.CultureInfo before = System.Globalization.CultureInfo.CurrentCulture;
        try
        {
            System.Globalization.CultureInfo.CurrentCulture = new System.Globalization.CultureInfo("tr-TR");
            Assert.Equal(BatchStatus.Finalizing, StatusWords.Read("finalizing"));
        }
        finally
        {
            System.Globalization.CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [InlineData("1714508499", 1714508499000)]
    [InlineData("1714508499.5", 1714508499500)]
    [InlineData("1714508499123", 1714508499123)]
    [InlineData("99999999999", 99999999999000)]
    [InlineData("100000000000", 100000000000)]
    [InlineData("\"1714508499\"", 1714508499000)]
    [InlineData("\"1714508499123\"", 1714508499123)]
    [InlineData("\"2024-04-30T20:21:39Z\"", 1714508499000)]
    [InlineData("\"2024-04-30T20:21:39.123456789Z\"", 1714508499123)]
    [InlineData("\"2024-04-30T22:21:39+02:00\"", 1714508499000)]
    [InlineData("\"2024-04-30 20:21:39\"", 1714508499000)]
    [InlineData("0", null)]
    [InlineData("-5", null)]
    [InlineData("\"\"", null)]
    [InlineData("null", null)]
    [InlineData("\"soon\"", null)]
    [InlineData("\"NaN\"", null)]
    [InlineData("1e300", null)]
    [InlineData("1e999", null)]
    [InlineData("true", null)]
    [InlineData("{}", null)]
    public void Reads_times_in_every_form(string json, long? milliseconds) =>
        Assert.Equal(milliseconds, Read($$"""{"id":"a","created_at":{{json}}}""").CreatedAt?.ToUnixTimeMilliseconds());

    [Theory]
    [InlineData("""{"total":5,"completed":2,"failed":1}""", 5, 2, 1)]
    [InlineData("""{"total":5}""", 5, 0, 0)]
    [InlineData("""{"total":"5","completed":"2","failed":null}""", 5, 2, 0)]
    [InlineData("""{"total":5.0,"completed":true,"failed":[]}""", 5, 0, 0)]
    [InlineData("{}", 0, 0, 0)]
    [InlineData("null", 0, 0, 0)]
    [InlineData("7", 0, 0, 0)]
    public void Reads_counts_that_are_incomplete_or_null(string counts, long total, long completed, long failed) =>
        Assert.Equal(new RequestCounts(total, completed, failed), Read($$"""{"id":"a","request_counts":{{counts}}}""").RequestCounts);

    [Theory]
    [InlineData("""null""", new string[0])]
    [InlineData("""[]""", new string[0])]
    [InlineData("""{"object":"list","data":[]}""", new string[0])]
    [InlineData("""{"object":"list","data":null}""", new string[0])]
    [InlineData("\"\"", new string[0])]
    [InlineData(
        """{"object":"list","data":[{"code":"invalid_json_line","message":"This line is not parseable as valid JSON.","param":null,"line":4},{"code":"duplicate_custom_id","message":"m","param":"custom_id","line":7}]}""",
        new[] { "line 4: invalid_json_line: This line is not parseable as valid JSON.", "line 7: duplicate_custom_id: m" })]
    [InlineData("""[{"code":"a","message":"b"}]""", new[] { "a: b" })]
    [InlineData("""["one","two"]""", new[] { "error: one", "error: two" })]
    [InlineData("\"input file is too large\"", new[] { "error: input file is too large" })]
    [InlineData("""{"message":"m","type":"t"}""", new[] { "t: m" })]
    [InlineData("""[{"code":"a","message":"b","line":"3"},null,5]""", new[] { "line 3: a: b" })]
    [InlineData("""[{"code":"a","message":"b","line":5000000000}]""", new[] { "a: b" })]
    public void Reads_errors_in_every_form(string errors, string[] expected) =>
        Assert.Equal(expected, Read($$"""{"id":"a","status":"failed","errors":{{errors}}}""").Errors.Select(error => error.ToString()));

    [Fact]
    public void Reads_the_error_of_Together_which_is_a_string() =>
        Assert.Equal("no funds", Assert.Single(Read("""{"job":{"id":"a","status":"FAILED","error":"no funds"}}""").Errors).Message);

    [Fact]
    public void Metadata_that_is_not_a_string_is_kept_as_JSON() =>
        Assert.Equal(
            new Dictionary<string, string> { ["a"] = "b", ["n"] = "1.50", ["t"] = "true", ["o"] = """{"x":[1]}""", ["z"] = "null", ["e"] = "" },
            Read("""{"id":"a","metadata":{"a":"b","n":1.50,"t":true,"o":{"x":[1]},"z":null,"e":""}}""").Metadata);

    [Fact]
    public void Reads_the_documented_usage()
    {
        TokenUsage? usage = Read("""
            {"id":"a","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":30}}
            """).Usage;
        Assert.Equal(new TokenUsage { InputTokens = 10, CachedTokens = 4, OutputTokens = 20, ReasoningTokens = 5, TotalTokens = 30 }, usage);
        Assert.Equal(
            new TokenUsage { InputTokens = 1, OutputTokens = 2 },
            Read("""{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2,"input_tokens_details":null}}""").Usage);
    }

    [Fact]
    public void Half_a_surrogate_pair_is_replaced()
    {
        Batch batch = Read("""{"id":"a","status":"completed","metadata":{"k":"cut \ud83d","\ud83d":"v","ok":"x"},"errors":"cut \ud83d","model":"\ud83d"}""");
        Assert.Equal(BatchStatus.Completed, batch.Status);
        Assert.StartsWith("cut ", batch.Metadata["k"], StringComparison.Ordinal);
        Assert.Equal("x", batch.Metadata["ok"]);
        Assert.StartsWith("cut ", Assert.Single(batch.Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_UTF8_is_replaced()
    {
        byte[] json = Encoding.Latin1.GetBytes("""{"id":"a","status":"failed","errors":"Größe"}""");
        Assert.Equal("Gr\ufffd\ufffde", Assert.Single(BatchReader.Read(json).Errors).Message);
    }

    [Fact]
    public void Elapsed_is_constant_after_the_end_of_the_batch()
    {
        Assert.Equal(TimeSpan.FromSeconds(90), Read("""{"id":"a","status":"failed","created_at":1714508500,"failed_at":1714508590}""").Elapsed);
        Assert.Null(Read("""{"id":"a","status":"failed","created_at":1714508500}""").Elapsed);
        Assert.True(Read("""{"id":"a","status":"in_progress","created_at":1714508500}""").Elapsed > TimeSpan.FromDays(1));
    }

    private static Batch Read(string json) => BatchReader.Read(Encoding.UTF8.GetBytes(json.Trim()));
}
