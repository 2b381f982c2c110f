using System.Buffers;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>Writes requests as the lines of a batch file: UTF-8 without byte order mark, LF after each line.</summary>
/// <remarks>Not safe for several threads. Disposing writes what is buffered, and closes the stream.</remarks>
public sealed class LineWriter : IDisposable
{
    private const int FlushAt = 128 * 1024;

    private readonly ArrayBufferWriter<byte> _buffer = new(FlushAt + (FlushAt / 4));
    private readonly Utf8JsonWriter _json;
    private readonly Stream _stream;

    public LineWriter(Stream stream)
    {
        _stream = stream;
        _json = new Utf8JsonWriter(_buffer, LineJson.WriterOptions);
    }

    /// <summary>Lines written so far.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes written so far, those still buffered included.</summary>
    public long Bytes { get; private set; }

    /// <summary>The bytes one request takes as a line, its LF included.</summary>
    public static int MeasureLine(BatchRequest request)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions);
        WriteLine(buffer, json, request, withBody: false);
        return buffer.WrittenCount + request.BodyUtf8.Length;
    }

    /// <summary>Writes one line.</summary>
    /// <exception cref="IOException">The stream could not be written.</exception>
    public void Write(BatchRequest request)
    {
        int before = _buffer.WrittenCount;
        WriteLine(_buffer, _json, request, withBody: true);
        Bytes += _buffer.WrittenCount - before;
        Count++;
        if (_buffer.WrittenCount >= FlushAt)
        {
            Flush();
        }
    }

    /// <summary>Hands what is buffered to the stream.</summary>
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

    private static void WriteLine(ArrayBufferWriter<byte> output, Utf8JsonWriter json, BatchRequest request, bool withBody)
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
        if (withBody)
        {
            LineJson.WriteOnOneLine(output, request.BodyUtf8.Span);
        }

        output.Write("}\n"u8);
    }

    private static void WriteString(Utf8JsonWriter json, IBufferWriter<byte> output, string value)
    {
        json.Reset(output);
        json.WriteStringValue(value);
        json.Flush();
    }
}
