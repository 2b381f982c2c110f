using System.Buffers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

public sealed class LineWriterTests
{
    public static TheoryData<BatchRequest> Requests { get; } =
    [
        Request("request-1", """{"model":"m","messages":[]}"""),
        Request("the \"first\" 😀\n\\", """{"model":"m"}"""),
        Request("", "{}"),
        Request("no-url", """{"model":"m"}""", url: ""),
        Request("pretty", "{\r\n  \"model\": \"m\",\n  \"messages\": [ ]\n}"),
        Request("big", $$"""{"model":"m","prompt":"{{new string('x', 300_000)}}"}"""),
    ];

    [Theory]
    [MemberData(nameof(Requests))]
    public void A_written_line_is_read_as_the_same_request(BatchRequest request)
    {
        byte[] line = Write(request);
        Assert.Equal((byte)'\n', line[^1]);
        Assert.Equal(line.Length - 1, line.AsSpan().IndexOf((byte)'\n'));
        using var parsed = JsonDocument.Parse(line);
        JsonElement root = parsed.RootElement;
        Assert.Equal(request.CustomId, root.GetProperty("custom_id").GetString());
        Assert.Equal("POST", root.GetProperty("method").GetString());
        Assert.Equal(request.Url, root.TryGetProperty("url", out JsonElement url) ? url.GetString() : "");
        using var body = JsonDocument.Parse(request.BodyUtf8);
        Assert.True(JsonElement.DeepEquals(body.RootElement, root.GetProperty("body")));
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public void MeasureLine_returns_the_size_of_the_line(BatchRequest request) =>
        Assert.Equal(Write(request).Length, LineWriter.MeasureLine(request));

    [Fact]
    public void A_request_is_written_in_the_documented_format() => Assert.Equal(
        """{"custom_id":"request-1","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}""" + "\n",
        Encoding.UTF8.GetString(Write(Request("request-1", """{"model":"m"}"""))));

    [Fact]
    public void The_body_is_copied_unchanged()
    {
        const string Body = """{ "model":"m", "n":1.0e2, "s":"\u00e4\/", "n":3 }""";
        Assert.Contains("\"body\":" + Body + "}", Encoding.UTF8.GetString(Write(Request("a", Body))), StringComparison.Ordinal);
    }

    [Fact]
    public void Counts_lines_and_bytes_and_closes_the_stream()
    {
        var stream = new MemoryStream();
        using (var writer = new LineWriter(stream))
        {
            for (int i = 0; i < 5_000; i++)
            {
                writer.Write(Request($"request-{i}", """{"model":"m","messages":[{"role":"user","content":"hi"}]}"""));
            }

            Assert.Equal(5_000, writer.Count);
            writer.Flush();
            Assert.Equal(stream.Length, writer.Bytes);
        }

        Assert.False(stream.CanWrite);
        BatchFileReport report = new FileValidator(new ValidationRules()).Validate(new MemoryStream(stream.ToArray()), null);
        Assert.True(report.IsValid);
        Assert.Equal(5_000, report.RequestCount);
        Assert.Empty(report.Issues);
    }

    [Fact]
    public void A_request_that_cannot_be_written_leaves_no_part_of_a_line()
    {
        var stream = new MemoryStream();
        using (var writer = new LineWriter(stream))
        {
            writer.Write(Request("a", "{}"));
            Assert.Throws<ArgumentException>(() => writer.Write(Request("half \ud83d", "{}")));
            Assert.Throws<ArgumentException>(() => writer.Write(Request("b", "{}", url: "/v1/\ud83d")));
            writer.Write(Request("c", "{}"));
            Assert.Equal(2, writer.Count);
        }

        Assert.Equal(["a", "c"], Encoding.UTF8.GetString(stream.ToArray()).TrimEnd('\n').Split('\n').Select(line =>
        {
            using var parsed = JsonDocument.Parse(line);
            return parsed.RootElement.GetProperty("custom_id").GetString()!;
        }));
    }

    [Theory]
    [InlineData("{\"a\":1}", "{\"a\":1}")]
    [InlineData("{\n \"a\" : \"x\\n\" ,\r\n\"b\":[1,\n2]\r}", "{ \"a\" : \"x\\n\" ,\"b\":[1,2]}")]
    [InlineData("\n\n[]\n", "[]")]
    [InlineData("", "")]
    public void WriteOnOneLine_removes_only_line_breaks(string json, string line)
    {
        var buffer = new ArrayBufferWriter<byte>();
        LineJson.WriteOnOneLine(buffer, Encoding.UTF8.GetBytes(json));
        Assert.Equal(line, Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    [Fact]
    public void A_result_with_a_response_is_written_in_the_documented_format()
    {
        var buffer = new ArrayBufferWriter<byte>();
        ResultLine.WriteAnswer(
            buffer, "batch_req_123"u8, "\"request-2\""u8, 200, "req_123"u8, "{\n  \"id\": \"chatcmpl-123\"\r\n}\n"u8);
        Assert.Equal(
            """{"id":"batch_req_123","custom_id":"request-2","response":{"status_code":200,"request_id":"req_123","body":{  "id": "chatcmpl-123"}},"error":null}""" + "\n",
            Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    [Fact]
    public void A_result_without_a_response_is_written_in_the_documented_format()
    {
        var buffer = new ArrayBufferWriter<byte>();
        ResultLine.WriteError(
            buffer, "batch_req_123"u8, "\"request \\\"3\\\"\""u8, "batch_expired"u8,
            "\"This request could not be executed before the completion window expired.\""u8);
        Assert.Equal(
            """{"id":"batch_req_123","custom_id":"request \"3\"","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}""" + "\n",
            Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    private static BatchRequest Request(string id, string body, string url = "/v1/chat/completions") =>
        new() { CustomId = id, Url = url, BodyUtf8 = Encoding.UTF8.GetBytes(body) };

    private static byte[] Write(BatchRequest request)
    {
        var stream = new MemoryStream();
        using (var writer = new LineWriter(stream))
        {
            writer.Write(request);
        }

        return stream.ToArray();
    }
}
