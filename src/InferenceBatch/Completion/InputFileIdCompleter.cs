
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes the ids of files that a batch can be made of.</summary>
public sealed class InputFileIdCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) => SessionMemory.InputFiles.All;
}
