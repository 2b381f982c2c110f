using InferenceBatch.Lines;

namespace InferenceBatch.Completion;

/// <summary>Completes the endpoints for batches of the service.</summary>
public sealed class EndpointCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) =>
        ValidationRules.KnownEndpoints.Concat(command.Profile.MoreEndpoints).Select(endpoint => (endpoint, ""));
}
