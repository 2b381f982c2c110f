using System.Collections;
using InferenceBatch.Service;

namespace InferenceBatch.Binding;

/// <summary>Completes the names of the profiles.</summary>
public sealed class ProviderCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary boundParameters) => ServiceProfile.All.Select(profile => profile.Name);
}
