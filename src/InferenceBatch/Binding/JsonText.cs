using System.Buffers;
using System.Text;
using System.Text.Unicode;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Writes text as a JSON string in UTF-8, and escapes only what RFC 8259, section 7, requires. This is the fast path for the values that
/// differ from request to request.
/// </summary>
internal static class JsonText
{
    private static readonly SearchValues<char> s_escaped =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (char)i), '"', '\\']);

    /// <summary>Writes the string with its quotes.</summary>
    /// <exception cref="UnwritableValueException">The text contains half a surrogate pair, which UTF-8 cannot represent.</exception>
    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<char> text)
    {
        output.Write("\""u8);
        WriteContent(output, text);
        output.Write("\""u8);
    }

    /// <summary>Writes the string without its quotes.</summary>
    /// <inheritdoc cref="Write"/>
    public static void WriteContent(IBufferWriter<byte> output, ReadOnlySpan<char> text)
    {
        while (true)
        {
            int plain = text.IndexOfAny(s_escaped);
            WritePlain(output, plain < 0 ? text : text[..plain]);
            if (plain < 0)
            {
                return;
            }

            WriteEscape(output, text[plain]);
            text = text[(plain + 1)..];
        }
    }

    /// <summary>Throws if UTF-8 cannot represent the text.</summary>
    /// <inheritdoc cref="Write"/>
    public static void Check(ReadOnlySpan<char> text)
    {
        int from = 0;
        while (from < text.Length)
        {
            int next = text[from..].IndexOfAnyInRange('\uD800', '\uDFFF');
            if (next < 0)
            {
                return;
            }

            from += next;
            if (Rune.DecodeFromUtf16(text[from..], out _, out int length) != OperationStatus.Done)
            {
                throw LoneSurrogate();
            }

            from += length;
        }
    }

    private static void WritePlain(IBufferWriter<byte> output, ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
        {
            return;
        }

        Span<byte> target = output.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length));
        if (Utf8.FromUtf16(text, target, out _, out int written, replaceInvalidSequences: false) != OperationStatus.Done)
        {
            throw LoneSurrogate();
        }

        output.Advance(written);
    }

    private static void WriteEscape(IBufferWriter<byte> output, char escaped)
    {
        switch (escaped)
        {
            case '"':
                output.Write("\\\""u8);
                break;
            case '\\':
                output.Write("\\\\"u8);
                break;
            case '\n':
                output.Write("\\n"u8);
                break;
            case '\r':
                output.Write("\\r"u8);
                break;
            case '\t':
                output.Write("\\t"u8);
                break;
            case '\b':
                output.Write("\\b"u8);
                break;
            case '\f':
                output.Write("\\f"u8);
                break;
            default:
                output.Write(Encoding.ASCII.GetBytes($"\\u{(int)escaped:x4}"));
                break;
        }
    }

    private static UnwritableValueException LoneSurrogate() => new(Messages.Text("Unwritable.HalfSurrogate"));
}
