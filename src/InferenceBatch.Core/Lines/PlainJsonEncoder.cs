using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Escapes only what JSON requires (RFC 8259 section 7): control characters, the quote and the backslash. It does not escape
/// emoji, which the relaxed encoder of System.Text.Json writes as two <c>\u</c> escapes, three times their size.
/// </summary>
/// <remarks>
/// The writer throws an <see cref="ArgumentException"/> for text that UTF-8 cannot represent (half a surrogate pair) and for
/// invalid UTF-8. Other encoders write U+FFFD instead; this one never changes a prompt silently.
/// </remarks>
public sealed class PlainJsonEncoder : JavaScriptEncoder
{
    private static readonly SearchValues<char> s_escapedChars =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (char)i), '"', '\\']);

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
        var whole = new ReadOnlySpan<char>(text, textLength);
        RefuseHalfPairs(whole);
        return whole.IndexOfAny(s_escapedChars);
    }

    public override int FindFirstCharacterToEncodeUtf8(ReadOnlySpan<byte> utf8Text) => Utf8.IsValid(utf8Text)
        ? utf8Text.IndexOfAny(s_escapedBytes)
        : throw new ArgumentException(Messages.Text("InvalidValue.NotUtf8"), nameof(utf8Text));

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

    private static void RefuseHalfPairs(ReadOnlySpan<char> text)
    {
        int found;
        while ((found = text.IndexOfAnyInRange('\ud800', '\udfff')) >= 0)
        {
            if (found + 1 == text.Length || !char.IsSurrogatePair(text[found], text[found + 1]))
            {
                throw new ArgumentException(Messages.Text("InvalidValue.HalfSurrogate", (int)text[found]), nameof(text));
            }

            text = text[(found + 2)..];
        }
    }
}
