using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Completion;
using InferenceBatch.Model;

namespace InferenceBatch.Cmdlets;

/// <summary>The base of cmdlets that accept batches, as objects or by ID.</summary>
public abstract class BatchInputCommand : ServiceCommand
{
    private protected const string BatchSet = "Batch";
    private protected const string IdSet = "Id";

    /// <summary>Batches, or their IDs.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = BatchSet)]
    [BatchTransformation]
    [ArgumentCompleter(typeof(BatchIdCompleter))]
    [ValidateNotNull]
    public Batch[]? Batch { get; set; }

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("BatchId")]
    [ArgumentCompleter(typeof(BatchIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Id { get; set; }

    /// <summary>Gets the batches from both parameter sets.</summary>
    private protected IEnumerable<BatchInput> Inputs =>
        (Batch ?? []).Select(batch => new BatchInput(batch.Id, batch.Json.Length > 0 ? batch : null))
            .Concat((Id ?? []).Select(id => new BatchInput(id, null)));
}
