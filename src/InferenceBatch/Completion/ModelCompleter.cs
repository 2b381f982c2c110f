using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes models: first those seen in this session, then those of the service.</summary>
public sealed class ModelCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command)
    {
        IEnumerable<(string Word, string Note)> served = command.Connection is { } connection
            ? ServedModels.Of(connection).Select(model => (model, $"served by {connection}")) : [];
        return SessionMemory.Models.All.Concat(served).DistinctBy(item => item.Word);
    }
}
