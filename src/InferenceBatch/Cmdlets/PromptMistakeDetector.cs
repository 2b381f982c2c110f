using System.Management.Automation.Language;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>What the first input objects show of a mistake in the parameters; said before anything is sent.</summary>
/// <param name="warn">Takes what is to be said.</param>
internal sealed class PromptMistakeDetector(Action<string> warn)
{
    private const int RowsToJudgeBy = 10;

    private int _rows;
    private bool _lackPrompts = true;
    private bool _askTheSame = true;
    private string? _prompt;
    private string? _systemPrompt;

    /// <summary>Who means a column and forgets the braces pays for a word.</summary>
    /// <param name="input">The first input object.</param>
    /// <param name="texts">Parameters and what was given for all objects.</param>
    public void TakeTexts(object? input, params (string Parameter, string? Text)[] texts)
    {
        if (input is null or string)
        {
            return;
        }

        foreach ((string parameter, string? text) in texts)
        {
            if (!string.IsNullOrEmpty(text) && InputFields.NamesOf(input).Contains(text, StringComparer.OrdinalIgnoreCase))
            {
                string member = text.All(c => char.IsLetterOrDigit(c) || c == '_') ? text : $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";
                warn(Messages.Text("Warning.NameAsText", parameter, text, member));
            }
        }
    }

    /// <summary>
    /// Where none of the first objects has a prompt, or all have the same one, a column is misspelt, and one sentence says
    /// so better than errors without end, or a bill.
    /// </summary>
    /// <param name="input">The object.</param>
    /// <param name="hasPrompt">Whether it has one, or needs none.</param>
    /// <param name="prompt">What it asks; null where that is not in its prompt alone.</param>
    /// <param name="systemPrompt">What it asks besides.</param>
    public void Take(object? input, bool hasPrompt, string? prompt = null, string? systemPrompt = null)
    {
        if (_rows == RowsToJudgeBy)
        {
            return;
        }

        if (_rows++ == 0)
        {
            (_prompt, _systemPrompt) = (prompt, systemPrompt);
        }

        _lackPrompts &= !hasPrompt;
        _askTheSame &= prompt is not null && prompt == _prompt && systemPrompt == _systemPrompt;
        if (_rows < RowsToJudgeBy || input is string or ValueType || InputFields.Listed(input) is not { Length: > 0 } names)
        {
            return;
        }

        if (_lackPrompts)
        {
            warn(Messages.Text("Warning.NoPrompts", _rows, names));
        }
        else if (_askTheSame)
        {
            warn(Messages.Text("Warning.SamePrompts", _rows, PlainText.OneLine(_prompt!, 60), names));
        }
    }
}
