
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes metadata by the keys this session has met, each as a hashtable with its latest value.</summary>
public sealed class MetadataCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) => SessionMemory.Metadata.All;

    private protected override string Written(string word, string note)
    {
        bool isName = word.All(c => char.IsAsciiLetter(c) || c == '_');
        string value = note.Any(char.IsControl) ? "" : note;
        return $"@{{ {(isName ? word : Literal(word))} = {Literal(value)} }}";
    }
}
