using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace InferenceBatch.Model;

/// <summary>
/// The one rule for text in messages and on the screen: no characters that control a terminal, such as ESC, and no halves of
/// surrogate pairs, which UTF-8 cannot represent. <see cref="Messages"/> applies it to every message.
/// </summary>
internal static class TerminalText
{
    private const char Replacement = '\uFFFD';

    /// <summary>Returns a text with U+FFFD for each of these characters. Line breaks and tabs are kept.</summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Of(string? text) => text is null || IsPlain(text) ? text : string.Create(text.Length, text, Write);

    private static bool IsPlain(ReadOnlySpan<char> text) =>
        !text.ContainsAnyInRange('\0', '\x1F') && !text.ContainsAnyInRange('\x7F', '\x9F') && !text.ContainsAnyInRange('\uD800', '\uDFFF');

    private static void Write(Span<char> target, string text)
    {
        int i = 0;
        while (i < text.Length)
        {
            if (Rune.TryGetRuneAt(text, i, out Rune rune))
            {
                bool isBreak = text[i] is '\n' or '\t' || (text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n');
                if (isBreak || !Rune.IsControl(rune))
                {
                    i += rune.EncodeToUtf16(target[i..]);
                    continue;
                }
            }

            target[i++] = Replacement;
        }
    }
}
