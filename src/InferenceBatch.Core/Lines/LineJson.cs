using System.Buffers;
using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>Writes JSON that becomes part of a line.</summary>
public static class LineJson
{
    /// <summary>Compact, with as few escapes as possible, and without validation, because the writers in this folder write only whole values.</summary>
    public static JsonWriterOptions WriterOptions { get; } = new() { Encoder = PlainJsonEncoder.Instance, SkipValidation = true };

    /// <summary>
    /// Writes a JSON value without its line breaks. The other bytes are unchanged.
    /// </summary>
    /// <param name="output">The output.</param>
    /// <param name="json">One whole, valid JSON value.</param>
    public static void WriteOnOneLine(IBufferWriter<byte> output, ReadOnlySpan<byte> json)
    {
        if (json.IndexOfAny((byte)'\n', (byte)'\r') < 0)
        {
            output.Write(json);
            return;
        }

        // In valid JSON, a line break is white space between tokens: in strings it must be escaped.
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
