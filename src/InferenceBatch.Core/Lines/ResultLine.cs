using System.Buffers;
using System.Globalization;

namespace InferenceBatch.Lines;

/// <summary>
/// Writes the lines of output and error files, as the Batch API's documents show them. What is handed in as JSON is
/// copied, not parsed.
/// </summary>
public static class ResultLine
{
    /// <summary>A line that got an HTTP answer, whatever its status.</summary>
    /// <param name="output">Written to; one line with its LF.</param>
    /// <param name="id">The line's own id, such as <c>batch_req_…</c>; plain ASCII without quotes.</param>
    /// <param name="customIdJson">The <c>custom_id</c> as a JSON string, quotes included.</param>
    /// <param name="statusCode">The HTTP status.</param>
    /// <param name="requestId">The answer's request id; plain ASCII without quotes.</param>
    /// <param name="bodyJson">The answer's body, one whole JSON value.</param>
    public static void WriteAnswer(
        IBufferWriter<byte> output,
        ReadOnlySpan<byte> id,
        ReadOnlySpan<byte> customIdJson,
        int statusCode,
        ReadOnlySpan<byte> requestId,
        ReadOnlySpan<byte> bodyJson)
    {
        Begin(output, id, customIdJson);
        output.Write("{\"status_code\":"u8);
        Span<byte> digits = output.GetSpan(11);
        statusCode.TryFormat(digits, out int written, default, CultureInfo.InvariantCulture);
        output.Advance(written);
        output.Write(",\"request_id\":\""u8);
        output.Write(requestId);
        output.Write("\",\"body\":"u8);
        LineJson.WriteOnOneLine(output, bodyJson);
        output.Write("},\"error\":null}\n"u8);
    }

    /// <summary>A line that got no HTTP answer, such as <c>batch_expired</c>.</summary>
    /// <param name="output">Written to; one line with its LF.</param>
    /// <param name="id">The line's own id; plain ASCII without quotes.</param>
    /// <param name="customIdJson">The <c>custom_id</c> as a JSON string, quotes included.</param>
    /// <param name="code">The error's code; plain ASCII without quotes.</param>
    /// <param name="messageJson">The error's message as a JSON string, quotes included.</param>
    public static void WriteError(
        IBufferWriter<byte> output,
        ReadOnlySpan<byte> id,
        ReadOnlySpan<byte> customIdJson,
        ReadOnlySpan<byte> code,
        ReadOnlySpan<byte> messageJson)
    {
        Begin(output, id, customIdJson);
        output.Write("null,\"error\":{\"code\":\""u8);
        output.Write(code);
        output.Write("\",\"message\":"u8);
        output.Write(messageJson);
        output.Write("}}\n"u8);
    }

    private static void Begin(IBufferWriter<byte> output, ReadOnlySpan<byte> id, ReadOnlySpan<byte> customIdJson)
    {
        output.Write("{\"id\":\""u8);
        output.Write(id);
        output.Write("\",\"custom_id\":"u8);
        output.Write(customIdJson);
        output.Write(",\"response\":"u8);
    }
}
