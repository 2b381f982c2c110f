using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes IDs of batches seen in this session, the latest first. The tooltip is the status.</summary>
public sealed class BatchIdCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) => SessionMemory.Batches.All;
}
