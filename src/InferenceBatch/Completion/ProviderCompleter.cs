using InferenceBatch.Service;

namespace InferenceBatch.Completion;

/// <summary>Completes the names of the profiles; the tooltip is the address.</summary>
public sealed class ProviderCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) =>
        ServiceProfile.All.Select(profile => (profile.Name, profile.BaseUri?.AbsoluteUri ?? "no common address; use -BaseUri"));
}
