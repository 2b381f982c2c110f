using System.Collections;
using InferenceBatch.Lines;

namespace InferenceBatch.Binding;

/// <summary>Completes the endpoints a batch can be for.</summary>
public sealed class EndpointCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary boundParameters) => ValidationRules.KnownEndpoints;
}
