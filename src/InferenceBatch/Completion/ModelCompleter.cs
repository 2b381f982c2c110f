
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Completes models: those this session has met, then those the service has.</summary>
public sealed class ModelCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command)
    {
        IEnumerable<(string Word, string Note)> served = command.Connection is { } connection
            ? ServedModels.Of(connection).Select(model => (model, $"served by {connection}")) : [];
        return SessionMemory.Models.All.Concat(served).DistinctBy(one => one.Word);
    }
}
