
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes the ids of files this session has met: those batches have written, then those they are made of.</summary>
public sealed class FileIdCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) =>
        SessionMemory.OutputFiles.All.Concat(SessionMemory.InputFiles.All);
}
