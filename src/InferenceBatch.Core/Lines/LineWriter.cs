using System.Buffers;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>Writes requests as the lines of a batch file: UTF-8 without byte order mark, LF after each line.</summary>
/// <remarks>Not thread-safe. Dispose writes buffered lines and closes the stream.</remarks>
public sealed class LineWriter : IDisposable
{
    private const int FlushAt = 128 * 1024;

    private readonly ArrayBufferWriter<byte> _buffer = new(FlushAt + (FlushAt / 4));
    private readonly ArrayBufferWriter<byte> _head = new(256);
    private readonly Utf8JsonWriter _json;
    private readonly Stream _stream;

    public LineWriter(Stream stream)
    {
        _stream = stream;
        _json = new Utf8JsonWriter(_head, LineJson.WriterOptions);
    }

    private static ReadOnlySpan<byte> Tail => "}\n"u8;

    /// <summary>The number of lines written.</summary>
    public int Count { get; private set; }

    /// <summary>The number of bytes written, including buffered ones.</summary>
    public long Bytes { get; private set; }

    /// <summary>Returns the size of a request as a line, in bytes, including LF.</summary>
    /// <exception cref="ArgumentException">UTF-8 cannot represent the ID, method or url of the request.</exception>
    public static int MeasureLine(BatchRequest request)
    {
        var head = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(head, LineJson.WriterOptions);
        WriteHead(head, json, request);
        ReadOnlySpan<byte> body = request.BodyUtf8.Span;
        return head.WrittenCount + body.Length - body.Count((byte)'\n') - body.Count((byte)'\r') + Tail.Length;
    }

    /// <summary>Writes one line.</summary>
    /// <exception cref="ArgumentException">
    /// UTF-8 cannot represent the ID, method or url of the request. Nothing of the request was written.
    /// </exception>
    /// <exception cref="IOException">The stream could not be written.</exception>
    public void Write(BatchRequest request)
    {
        // The head goes to a buffer of its own first: this can fail, and must not leave half a line behind.
        _head.ResetWrittenCount();
        WriteHead(_head, _json, request);

        int before = _buffer.WrittenCount;
        _buffer.Write(_head.WrittenSpan);
        LineJson.WriteOnOneLine(_buffer, request.BodyUtf8.Span);
        _buffer.Write(Tail);
        Bytes += _buffer.WrittenCount - before;
        Count++;
        if (_buffer.WrittenCount >= FlushAt)
        {
            Flush();
        }
    }

    /// <summary>Writes buffered lines to the stream.</summary>
    public void Flush()
    {
        _stream.Write(_buffer.WrittenSpan);
        _buffer.ResetWrittenCount();
    }

    public void Dispose()
    {
        try
        {
            Flush();
        }
        finally
        {
            _json.Dispose();
            _stream.Dispose();
        }
    }

    private static void WriteHead(ArrayBufferWriter<byte> output, Utf8JsonWriter json, BatchRequest request)
    {
        output.Write("{\"custom_id\":"u8);
        WriteString(json, output, request.CustomId);
        output.Write(",\"method\":"u8);
        WriteString(json, output, request.Method);
        if (request.Url.Length > 0)
        {
            output.Write(",\"url\":"u8);
            WriteString(json, output, request.Url);
        }

        output.Write(",\"body\":"u8);
    }

    private static void WriteString(Utf8JsonWriter json, IBufferWriter<byte> output, string value)
    {
        json.Reset(output);
        json.WriteStringValue(value);
        json.Flush();
    }
}
