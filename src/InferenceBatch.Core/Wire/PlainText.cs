using System.Diagnostics.CodeAnalysis;
using System.Text;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// Removes characters that control a terminal, such as ESC: text from a model, a service or the user's data must not
/// change colors, the cursor or the title of the window.
/// </summary>
public static class PlainText
{
    /// <summary>Returns a text with control characters and halves of surrogate pairs replaced by <c>\uFFFD</c>, except line breaks and tabs.</summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Of(string? text) => TerminalText.Of(text);

    /// <summary>Returns the beginning of a text on one line: line breaks and tabs become blanks, other control characters and halves of surrogate pairs <c>\uFFFD</c>.</summary>
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
            line.Append(char.IsWhiteSpace(c) ? ' ' : c);
        }

        return Of((start.Length < text.Length ? line.Append('…') : line).ToString());
    }
}
