
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes the ids of batches this session has met, the latest first; the tooltip is the status.</summary>
public sealed class BatchIdCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) => SessionMemory.Batches.All;
}
