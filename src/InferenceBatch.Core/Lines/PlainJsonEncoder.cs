using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;

namespace InferenceBatch.Lines;

/// <summary>
/// Escapes what JSON requires (control characters, the quote, the backslash) and nothing else, emoji included: the
/// relaxed encoder of System.Text.Json still writes those as two <c>\u</c> escapes, three times their size. RFC 8259 section 7.
/// </summary>
public sealed class PlainJsonEncoder : JavaScriptEncoder
{
    private static readonly SearchValues<byte> s_escapedBytes =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (byte)i), (byte)'"', (byte)'\\']);

    private PlainJsonEncoder()
    {
    }

    public static PlainJsonEncoder Instance { get; } = new();

    public override int MaxOutputCharactersPerInputCharacter => 6;

    public override bool WillEncode(int unicodeScalar) => unicodeScalar is < 0x20 or '"' or '\\';

    public override unsafe int FindFirstCharacterToEncode(char* text, int textLength)
    {
        for (int i = 0; i < textLength; i++)
        {
            char c = text[i];
            if (WillEncode(c))
            {
                return i;
            }

            if (char.IsSurrogate(c))
            {
                if (!char.IsHighSurrogate(c) || i + 1 >= textLength || !char.IsLowSurrogate(text[i + 1]))
                {
                    return i;
                }

                i++;
            }
        }

        return -1;
    }

    public override int FindFirstCharacterToEncodeUtf8(ReadOnlySpan<byte> utf8Text) => utf8Text.IndexOfAny(s_escapedBytes);

    public override unsafe bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        var target = new Span<char>(buffer, bufferLength);
        if (!WillEncode(unicodeScalar))
        {
            return new Rune(unicodeScalar).TryEncodeToUtf16(target, out numberOfCharactersWritten);
        }

        string escape = unicodeScalar switch
        {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\b' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\f' => "\\f",
            '\r' => "\\r",
            _ => $"\\u{unicodeScalar:x4}",
        };
        numberOfCharactersWritten = escape.TryCopyTo(target) ? escape.Length : 0;
        return numberOfCharactersWritten > 0;
    }
}
