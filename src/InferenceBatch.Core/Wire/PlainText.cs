using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace InferenceBatch.Wire;

/// <summary>
/// Text for a terminal without what a terminal would obey, such as ESC: what a model, a service or a row of somebody's
/// table says must not colour, move or rename anything.
/// </summary>
public static class PlainText
{
    /// <summary>The same text, its line breaks and tabs kept, other control characters as <c>\uFFFD</c>.</summary>
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

    /// <summary>The beginning of a text on one line: line breaks and tabs become blanks, other control characters <c>\uFFFD</c>.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="longest">In UTF-16 units; what is cut ends with an ellipsis.</param>
    public static string OneLine(string? text, int longest)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        string start = TextCut.Start(text, longest);
        var line = new StringBuilder(start.Length + 1);
        foreach (char c in start)
        {
            line.Append(char.IsWhiteSpace(c) ? ' ' : Of(c));
        }

        return start.Length < text.Length ? line.Append('…').ToString() : line.ToString();
    }

    private static char Of(char c) => char.IsControl(c) ? '\uFFFD' : c;
}
