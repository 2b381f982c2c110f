using System.Buffers;
using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>How JSON is written where it becomes part of a line.</summary>
public static class LineJson
{
    /// <summary>Compact, UTF-8 as it is, unchecked: the writers here only write whole values.</summary>
    public static JsonWriterOptions WriterOptions { get; } = new() { Encoder = PlainJsonEncoder.Instance, SkipValidation = true };

    /// <summary>
    /// Writes a JSON value so that it fits on a line: bytes as they are when they hold no line break, else rewritten compact.
    /// </summary>
    /// <param name="output">Written to.</param>
    /// <param name="json">One whole, valid JSON value.</param>
    public static void WriteOnOneLine(IBufferWriter<byte> output, ReadOnlySpan<byte> json)
    {
        if (json.IndexOfAny((byte)'\n', (byte)'\r') < 0)
        {
            output.Write(json);
            return;
        }

        // A raw line break in valid JSON is white space between tokens: strings can only hold it escaped.
        foreach (Range line in new LineBreakEnumerator(json))
        {
            output.Write(json[line]);
        }
    }

    private ref struct LineBreakEnumerator(ReadOnlySpan<byte> json)
    {
        private readonly ReadOnlySpan<byte> _json = json;
        private int _next;

        public Range Current { get; private set; }

        public readonly LineBreakEnumerator GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_next > _json.Length)
            {
                return false;
            }

            int length = _json[_next..].IndexOfAny((byte)'\n', (byte)'\r');
            int end = length < 0 ? _json.Length : _next + length;
            Current = _next..end;
            _next = end + 1;
            return true;
        }
    }
}
