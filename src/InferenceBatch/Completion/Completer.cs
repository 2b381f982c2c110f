using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using InferenceBatch.Wire;

namespace InferenceBatch.Completion;

/// <summary>Completes a parameter from a set of words: by prefix or wildcard in any case, quoted where PowerShell needs it.</summary>
public abstract class Completer : IArgumentCompleter
{
    private const int LongestNote = 200;

    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        Func<string, bool> isMeant = MatchFor(Unquoted(wordToComplete ?? ""));
        return Words(new TypedCommand(commandAst, fakeBoundParameters))
            .Where(one => one.Word.Length > 0 && !one.Word.Any(c => char.IsControl(c) || c == '\uFFFD') && isMeant(one.Word))
            .Select(one => new CompletionResult(
                Written(one.Word, one.Note), one.Word, CompletionResultType.ParameterValue,
                one.Note.Length > 0 ? PlainText.OneLine(one.Note, LongestNote) : one.Word));
    }

    /// <summary>The words to choose from, in the order they are offered, each with what there is to say of it.</summary>
    private protected abstract IEnumerable<(string Word, string Note)> Words(TypedCommand command);

    /// <summary>What is put into the command line for a word.</summary>
    private protected virtual string Written(string word, string note) => Quoted(word);

    /// <summary>A word as PowerShell reads it as one argument, whatever it holds.</summary>
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
            return false; // A bracket that is part of a name.
        }
    }
}
