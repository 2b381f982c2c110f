using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes IDs of files seen in this session: first result files, then input files.</summary>
public sealed class FileIdCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) =>
        SessionMemory.OutputFiles.All.Concat(SessionMemory.InputFiles.All);
}
