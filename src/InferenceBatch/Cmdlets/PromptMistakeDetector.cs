using System.Management.Automation.Language;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>Detects a mistake in the parameters from the first input objects, and warns before anything is sent.</summary>
/// <param name="warn">Writes a warning.</param>
internal sealed class PromptMistakeDetector(Action<string> warn)
{
    private const int RowsToCheck = 10;

    private int _rows;
    private bool _allAreEqual = true;
    private string? _prompt;
    private string? _systemPrompt;

    /// <summary>Warns if a text is the name of a property: without braces, every request gets the name instead of the value.</summary>
    /// <param name="input">The first input object.</param>
    /// <param name="texts">Parameters with their value for all objects.</param>
    public void TakeTexts(object? input, params (string Parameter, string? Text)[] texts)
    {
        if (input is null or string)
        {
            return;
        }

        foreach ((string parameter, string? text) in texts)
        {
            if (text?.Contains("$_", StringComparison.Ordinal) == true)
            {
                warn(Messages.Text("Warning.ScriptAsText", parameter, PlainText.OneLine(text, 60)));
            }

            if (!string.IsNullOrEmpty(text) && InputFields.NamesOf(input).Contains(text, StringComparer.OrdinalIgnoreCase))
            {
                string member = text.All(c => char.IsLetterOrDigit(c) || c == '_') ? text : $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";
                warn(Messages.Text("Warning.NameAsText", parameter, text, member));
            }
        }
    }

    /// <summary>
    /// Warns once if the first objects with a prompt all have the same one. Then a property is probably misspelled, and the user learns of it
    /// before the bill.
    /// </summary>
    /// <param name="input">The object.</param>
    /// <param name="prompt">The prompt; null if it is not the only part that can differ, such as with images.</param>
    /// <param name="systemPrompt">The system prompt.</param>
    public void Take(object? input, string? prompt, string? systemPrompt)
    {
        if (_rows == RowsToCheck)
        {
            return;
        }

        if (_rows++ == 0)
        {
            (_prompt, _systemPrompt) = (prompt, systemPrompt);
        }

        _allAreEqual &= prompt is not null && prompt == _prompt && systemPrompt == _systemPrompt;
        if (_rows < RowsToCheck || input is string or ValueType || InputFields.Listed(input) is not { Length: > 0 } names)
        {
            return;
        }

        if (_allAreEqual)
        {
            warn(Messages.Text("Warning.SamePrompts", _rows, PlainText.OneLine(_prompt!, 60), names));
        }
    }
}
