using System.Buffers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

public sealed class WireWriterTests
{
    private static readonly DateTimeOffset s_time = DateTimeOffset.FromUnixTimeSeconds(1714508499);

    private static readonly Batch s_full = new()
    {
        Id = "batch_1",
        Status = BatchStatus.Cancelled,
        Endpoint = "/v1/chat/completions",
        Model = "m",
        InputFileId = "file-1",
        OutputFileId = "file-2",
        ErrorFileId = "file-3",
        CompletionWindow = "24h",
        RequestCounts = new RequestCounts(5_000_000_000, 2, 1),
        Errors = [new ServiceError("invalid_json_line", "This line is not parseable as valid JSON.", null, 4), new ServiceError("c", "m \"😀\"", "p")],
        CreatedAt = s_time,
        InProgressAt = s_time.AddSeconds(1),
        ExpiresAt = s_time.AddDays(1),
        FinalizingAt = s_time.AddSeconds(2),
        CompletedAt = s_time.AddSeconds(3),
        FailedAt = s_time.AddSeconds(4),
        ExpiredAt = s_time.AddSeconds(5),
        CancellingAt = s_time.AddSeconds(6),
        CancelledAt = s_time.AddSeconds(7),
        Metadata = new Dictionary<string, string> { ["job"] = "nightly \"😀\"", [""] = "" },
        Usage = new TokenUsage { InputTokens = 1, CachedTokens = 2, OutputTokens = 3, ReasoningTokens = 4, TotalTokens = 5 },
    };

    /// <summary>The documented fields of the batch object.</summary>
    private static readonly string[] s_fields =
    [
        "id", "object", "endpoint", "model", "errors", "input_file_id", "completion_window", "status", "output_file_id", "error_file_id",
        "created_at", "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at",
        "request_counts", "usage", "metadata",
    ];

    [Fact]
    public void A_written_batch_is_read_as_the_same_batch()
    {
        Batch batch = BatchReader.Read(Encoding.UTF8.GetBytes(Write(json => WireWriter.WriteBatch(json, s_full))));
        Assert.Equal("cancelled", batch.RawStatus);
        Assert.Equivalent(s_full.Errors, batch.Errors);
        Assert.Equal(s_full.Metadata, batch.Metadata);
        foreach (System.Reflection.PropertyInfo property in typeof(Batch).GetProperties())
        {
            if (property.Name is not (nameof(Batch.RawStatus) or nameof(Batch.Json) or nameof(Batch.Errors) or nameof(Batch.Metadata)))
            {
                Assert.Equal(property.GetValue(s_full), property.GetValue(batch));
            }
        }
    }

    [Fact]
    public void A_batch_has_exactly_the_documented_fields()
    {
        using var full = JsonDocument.Parse(Write(json => WireWriter.WriteBatch(json, s_full)));
        Assert.Equal(s_fields, Names(full.RootElement));
        Assert.Equal("batch", full.RootElement.GetProperty("object").GetString());
        Assert.Equal(1714508499, full.RootElement.GetProperty("created_at").GetInt64());
        Assert.Equal(["object", "data"], Names(full.RootElement.GetProperty("errors")));
        Assert.All(full.RootElement.GetProperty("errors").GetProperty("data").EnumerateArray(), error =>
            Assert.Equal(["code", "message", "param", "line"], Names(error)));
        Assert.Equal(["total", "completed", "failed"], Names(full.RootElement.GetProperty("request_counts")));
        JsonElement usage = full.RootElement.GetProperty("usage");
        Assert.Equal(["input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"], Names(usage));
        Assert.Equal(2, usage.GetProperty("input_tokens_details").GetProperty("cached_tokens").GetInt64());
        Assert.Equal(4, usage.GetProperty("output_tokens_details").GetProperty("reasoning_tokens").GetInt64());
    }

    [Fact]
    public void Missing_values_are_written_as_null()
    {
        var bare = new Batch { Id = "batch_1", Status = BatchStatus.Validating, CreatedAt = s_time };
        using var json = JsonDocument.Parse(Write(writer => WireWriter.WriteBatch(writer, bare)));
        Assert.Equal(s_fields, Names(json.RootElement));
        string[] present = ["id", "object", "status", "created_at", "request_counts"];
        Assert.All(json.RootElement.EnumerateObject(), field => Assert.Equal(present.Contains(field.Name), field.Value.ValueKind != JsonValueKind.Null));
    }

    [Theory]
    [InlineData(BatchStatus.Validating)]
    [InlineData(BatchStatus.InProgress)]
    [InlineData(BatchStatus.Finalizing)]
    [InlineData(BatchStatus.Completed)]
    [InlineData(BatchStatus.Failed)]
    [InlineData(BatchStatus.Expired)]
    [InlineData(BatchStatus.Cancelling)]
    [InlineData(BatchStatus.Cancelled)]
    public void Every_status_is_written_as_a_word_that_can_be_read(BatchStatus status) => Assert.Equal(status, StatusWords.Read(StatusWords.Write(status)));

    [Fact]
    public void An_unknown_status_cannot_be_written() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => StatusWords.Write(BatchStatus.Unknown));

    [Fact]
    public void A_written_file_is_read_as_the_same_file_and_has_the_documented_fields()
    {
        var file = new BatchFile
        {
            Id = "file-1",
            FileName = "a \"b\".jsonl",
            Bytes = 5_000_000_000,
            Purpose = "batch",
            Status = "processed",
            CreatedAt = s_time,
            ExpiresAt = s_time.AddDays(1),
        };
        string json = Write(writer => WireWriter.WriteFile(writer, file));
        BatchFile read = BatchFileReader.Read(Encoding.UTF8.GetBytes(json));
        Assert.Equal((file.Id, file.FileName, file.Bytes, file.Purpose, file.Status), (read.Id, read.FileName, read.Bytes, read.Purpose, read.Status));
        Assert.Equal((file.CreatedAt, file.ExpiresAt), (read.CreatedAt, read.ExpiresAt));
        using var parsed = JsonDocument.Parse(json);
        Assert.Equal(["bytes", "created_at", "expires_at", "filename", "id", "object", "purpose", "status"], Names(parsed.RootElement).Order());
        Assert.Equal("file", parsed.RootElement.GetProperty("object").GetString());
    }

    [Fact]
    public void An_error_has_the_documented_form()
    {
        string json = Write(writer => WireWriter.WriteError(writer, "No such batch.", "invalid_request_error", null, "not_found"));
        Assert.Equal("""{"error":{"message":"No such batch.","type":"invalid_request_error","param":null,"code":"not_found"}}""", json);
        Assert.Equal(new ServiceError("not_found", "No such batch."), ErrorReader.ReadBody(Encoding.UTF8.GetBytes(json)));
    }

    [Fact]
    public void A_page_has_the_documented_form()
    {
        Assert.Equal(
            """{"object":"list","data":["a","b"],"first_id":"a","last_id":"b","has_more":true}""",
            Write(json => WireWriter.WritePage(json, ["a", "b"], true, id => id, (writer, id) => writer.WriteStringValue(id))));
        Assert.Equal(
            """{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}""",
            Write(json => WireWriter.WritePage<string>(json, [], false, id => id, (writer, id) => writer.WriteStringValue(id))));
    }

    private static List<string> Names(JsonElement element) => [.. element.EnumerateObject().Select(property => property.Name)];

    private static string Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions);
        write(json);
        json.Flush();
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
