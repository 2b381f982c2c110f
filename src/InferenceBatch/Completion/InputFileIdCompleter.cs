using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes IDs of input files seen in this session.</summary>
public sealed class InputFileIdCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) => SessionMemory.InputFiles.All;
}
