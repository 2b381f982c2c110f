using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using InferenceBatch.Wire;

namespace InferenceBatch.Completion;

/// <summary>Completes a parameter from a list of words, by prefix or wildcard, ignoring case. Quotes a word if PowerShell requires it.</summary>
public abstract class Completer : IArgumentCompleter
{
    private const int LongestNote = 200;

    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        Func<string, bool> matches = MatchFor(Unquoted(wordToComplete ?? ""));
        return Words(new TypedCommand(commandAst, fakeBoundParameters))
            .Where(item => item.Word.Length > 0 && !item.Word.Any(c => char.IsControl(c) || c == '\uFFFD') && matches(item.Word))
            .Select(item => new CompletionResult(
                CompletionText(item.Word, item.Note), item.Word, CompletionResultType.ParameterValue,
                item.Note.Length > 0 ? PlainText.OneLine(item.Note, LongestNote) : item.Word));
    }

    /// <summary>Returns the words in display order, each with the text for its tooltip.</summary>
    private protected abstract IEnumerable<(string Word, string Note)> Words(TypedCommand command);

    /// <summary>Returns the text for the command line.</summary>
    private protected virtual string CompletionText(string word, string note) => Quoted(word);

    /// <summary>Returns a word so that PowerShell reads it as one argument.</summary>
    private protected static string Quoted(string word) =>
        word.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or '/' or ':' or '+' or '=') && word[0] != '-'
            ? word : Literal(word);

    private protected static string Literal(string text) => $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";

    private static string Unquoted(string typed) => typed switch
    {
        ['\'', ..] => typed.Trim('\'').Replace("''", "'", StringComparison.Ordinal),
        _ => typed.Trim('"'),
    };

    private static Func<string, bool> MatchFor(string typed)
    {
        var pattern = new WildcardPattern(typed + "*", WildcardOptions.IgnoreCase | WildcardOptions.CultureInvariant);
        return word => word.StartsWith(typed, StringComparison.OrdinalIgnoreCase) || Matches(pattern, word);
    }

    private static bool Matches(WildcardPattern pattern, string word)
    {
        try
        {
            return pattern.IsMatch(word);
        }
        catch (WildcardPatternException)
        {
            return false; // The typed text contains a bracket that is part of a name.
        }
    }
}
