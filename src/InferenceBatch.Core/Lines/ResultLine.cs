using System.Buffers;
using System.Globalization;

namespace InferenceBatch.Lines;

/// <summary>
/// Writes the lines of output and error files in the format of the Batch API's documentation. JSON arguments are copied,
/// not parsed.
/// </summary>
public static class ResultLine
{
    /// <summary>Writes the line of a request with an HTTP response of any status.</summary>
    /// <param name="output">The output; receives one line with LF.</param>
    /// <param name="id">The ID of the line, such as <c>batch_req_…</c>; plain ASCII without quotes.</param>
    /// <param name="customIdJson">The <c>custom_id</c> as a JSON string, including the quotes.</param>
    /// <param name="statusCode">The HTTP status.</param>
    /// <param name="requestId">The request ID of the response; plain ASCII without quotes.</param>
    /// <param name="bodyJson">The body of the response, one whole JSON value.</param>
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

    /// <summary>Writes the line of a request without an HTTP response, such as <c>batch_expired</c>.</summary>
    /// <param name="output">The output; receives one line with LF.</param>
    /// <param name="id">The ID of the line; plain ASCII without quotes.</param>
    /// <param name="customIdJson">The <c>custom_id</c> as a JSON string, including the quotes.</param>
    /// <param name="code">The code of the error; plain ASCII without quotes.</param>
    /// <param name="messageJson">The message of the error as a JSON string, including the quotes.</param>
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
