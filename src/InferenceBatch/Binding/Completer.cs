using System.Buffers;
using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace InferenceBatch.Binding;

/// <summary>Completes a parameter from a set of words: by prefix or wildcard, quoted where PowerShell needs it.</summary>
public abstract class Completer : IArgumentCompleter
{
    private static readonly SearchValues<char> s_quoted = SearchValues.Create(" '\"`$(){};,&|@#<>");

    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        var pattern = new WildcardPattern((wordToComplete ?? "").Trim('\'', '"') + "*", WildcardOptions.IgnoreCase);
        return Words(fakeBoundParameters)
            .Where(word => pattern.IsMatch(word))
            .Select(word => new CompletionResult(Quoted(word), word, CompletionResultType.ParameterValue, word));
    }

    /// <summary>The words to choose from, in the order they are offered.</summary>
    protected abstract IEnumerable<string> Words(IDictionary boundParameters);

    private static string Quoted(string word) =>
        word.AsSpan().IndexOfAny(s_quoted) < 0 ? word : $"'{word.Replace("'", "''", StringComparison.Ordinal)}'";
}
