using System.Collections;
using InferenceBatch.Pipeline;

namespace InferenceBatch.Binding;

/// <summary>Completes the ids of batches this session has seen, newest first.</summary>
public sealed class BatchIdCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary boundParameters) => Session.RecentBatches.Select(batch => batch.Id);
}
