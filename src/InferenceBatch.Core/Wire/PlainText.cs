using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace InferenceBatch.Wire;

/// <summary>
/// Removes characters that control a terminal, such as ESC: text from a model, a service or the user's data must not
/// change colors, the cursor or the title of the window.
/// </summary>
public static class PlainText
{
    /// <summary>Returns a text with control characters replaced by <c>\uFFFD</c>, except line breaks and tabs.</summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Of(string? text) =>
        text is null || !text.AsSpan().ContainsAnyInRange('\0', '\x1F') && !text.AsSpan().ContainsAnyInRange('\x7F', '\x9F') ? text
        : string.Create(text.Length, text, (line, from) =>
        {
            for (int i = 0; i < from.Length; i++)
            {
                bool isBreak = from[i] is '\n' or '\t' || (from[i] == '\r' && i + 1 < from.Length && from[i + 1] == '\n');
                line[i] = isBreak ? from[i] : Of(from[i]);
            }
        });

    /// <summary>Returns the beginning of a text on one line: line breaks and tabs become blanks, other control characters <c>\uFFFD</c>.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="maxLength">The maximum length in UTF-16 units. An ellipsis is appended to a text that is cut.</param>
    public static string OneLine(string? text, int maxLength)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        string start = TextCut.Start(text, maxLength);
        var line = new StringBuilder(start.Length + 1);
        foreach (char c in start)
        {
            line.Append(char.IsWhiteSpace(c) ? ' ' : Of(c));
        }

        return start.Length < text.Length ? line.Append('…').ToString() : line.ToString();
    }

    private static char Of(char c) => char.IsControl(c) ? '\uFFFD' : c;
}
