using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Get-Batch: returns batches by ID, or the list, newest first.</summary>
[Cmdlet(VerbsCommon.Get, "Batch", DefaultParameterSetName = ListSet)]
[OutputType(typeof(Batch))]
public sealed class GetBatchCommand : ServiceCommand
{
    private const string ListSet = "List";
    private const string IdSet = "Id";
    private const string BatchSet = "Batch";

    /// <summary>Batches to request again, each from its service.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = BatchSet)]
    [ValidateNotNull]
    public Batch[]? Batch { get; set; }

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("BatchId")]
    [ArgumentCompleter(typeof(BatchIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Id { get; set; }

    [Parameter(ParameterSetName = ListSet)]
    [ValidateNotNullOrEmpty]
    public BatchStatus[]? Status { get; set; }

    /// <summary>The maximum number of batches.</summary>
    [Parameter(ParameterSetName = ListSet)]
    [ValidateRange(1, int.MaxValue)]
    public int First { get; set; } = int.MaxValue;

    /// <summary>The ID of the batch after which the list starts.</summary>
    [Parameter(ParameterSetName = ListSet)]
    [ArgumentCompleter(typeof(BatchIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string? After { get; set; }

    /// <summary>Returns only batches created at this time or later. Paging stops at the first older one.</summary>
    [Parameter(ParameterSetName = ListSet)]
    public DateTimeOffset? Since { get; set; }

    protected override void ProcessRecord()
    {
        if (ParameterSetName == ListSet)
        {
            ServiceConnection listed = Resolve();
            RunOrThrow((pump, token) => ListAsync(listed, pump, token), null);
            return;
        }

        foreach ((string id, object? origin) in (Batch ?? []).Select(batch => (batch.Id, (object?)batch)).Concat((Id ?? []).Select(id => (id, (object?)null))))
        {
            ServiceConnection connection = Resolve(origin);
            if (TryRun((pump, token) => ClientFor(connection, pump).GetBatchAsync(id, cancellationToken: token), id, out Batch? batch))
            {
                WriteObject(SessionMemory.Remember(batch, connection));
            }
        }
    }

    private async Task ListAsync(ServiceConnection connection, PipelinePump pump, CancellationToken cancellationToken)
    {
        int written = 0;
        int pageSize = Status is null ? Math.Min(First, 100) : 100;
        await foreach (Batch batch in ClientFor(connection, pump).ListBatchesAsync(After, pageSize, cancellationToken).ConfigureAwait(false))
        {
            if (batch.CreatedAt < Since)
            {
                return;
            }

            if (Status is null || Status.Contains(batch.Status))
            {
                await pump.WriteObjectAsync(SessionMemory.Remember(batch, connection, isListed: true)).ConfigureAwait(false);
                if (++written == First)
                {
                    return;
                }
            }
        }
    }
}
