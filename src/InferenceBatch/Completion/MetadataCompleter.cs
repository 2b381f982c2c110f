using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes metadata keys seen in this session, each as a hashtable with its latest value.</summary>
public sealed class MetadataCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) => SessionMemory.Metadata.All;

    private protected override string CompletionText(string word, string note)
    {
        bool isName = word.All(c => char.IsAsciiLetter(c) || c == '_');
        string value = note.Any(char.IsControl) ? "" : note;
        return $"@{{ {(isName ? word : Literal(word))} = {Literal(value)} }}";
    }
}
