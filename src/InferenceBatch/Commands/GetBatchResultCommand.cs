using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>
/// Get-BatchResult: streams the results of each request from the output and error files of batches, or from files on disk, joined to the
/// requests if they are given.
/// </summary>
[Cmdlet(VerbsCommon.Get, "BatchResult", DefaultParameterSetName = BatchSet)]
[OutputType(typeof(BatchResult))]
public sealed class GetBatchResultCommand : BatchInputCommand
{
    private const string PathSet = "Path";
    private const string LiteralPathSet = "LiteralPath";

    private readonly List<BatchInput> _waiting = [];
    private ResultWriter? _results;

    /// <summary>Output and error files on disk.</summary>
    [Parameter(Mandatory = true, ParameterSetName = PathSet)]
    [ValidateNotNullOrEmpty]
    public string[]? Path { get; set; }

    /// <summary>The same without wildcards, also from the pipeline, such as from Save-BatchFile.</summary>
    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = LiteralPathSet)]
    [Alias("PSPath", "FullName")]
    [ValidateNotNullOrEmpty]
    public string[]? LiteralPath { get; set; }

    /// <summary>The batch files with the requests.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? RequestPath { get; set; }

    /// <summary>The requests, with the objects they were built from.</summary>
    [Parameter]
    [ValidateNotNull]
    public BatchRequest[]? Request { get; set; }

    /// <summary>Returns results in the order of the requests. Requires -RequestPath or -Request.</summary>
    [Parameter]
    public SwitchParameter Ordered { get; set; }

    [Parameter]
    [ValidateNotNullOrEmpty]
    public ResultStatus[]? Status { get; set; }

    /// <summary>Waits for batches that have not ended.</summary>
    [Parameter(ParameterSetName = BatchSet)]
    [Parameter(ParameterSetName = IdSet)]
    public SwitchParameter Wait { get; set; }

    protected override void BeginProcessing()
    {
        IRequestSource? requests = ReadRequests();
        if (Ordered && requests is null)
        {
            ThrowTerminatingError(ErrorRecords.Of("InvalidValue.Ordered", null));
        }

        _results = new ResultWriter(requests, Ordered, Status);
    }

    protected override void ProcessRecord()
    {
        foreach (string path in Paths.Files(Path ?? LiteralPath ?? [], literal: Path is null))
        {
            if (!TryRun((pump, token) => _results!.WriteFileAsync(path, pump, token), path, out _))
            {
                _results!.IsIncomplete = true;
            }
        }

        foreach ((string id, Batch? known) in Inputs)
        {
            ServiceConnection connection = Resolve(known);
            if (Wait && known is not { IsFinished: true })
            {
                _waiting.Add(new BatchInput(id, known) { Connection = connection });
            }
            else if (!TryRun((pump, token) => WriteBatchAsync(connection, id, known, pump, token), id, out bool complete) || !complete)
            {
                _results!.IsIncomplete = true;
            }
        }
    }

    protected override void EndProcessing()
    {
        if (_waiting.Count > 0)
        {
            var wait = new BatchWait(this, null, null);
            wait.RunAndResume(() => RunOrThrow((pump, token) => WriteAsTheyEndAsync(wait, pump, token), _waiting));
        }

        RunOrThrow((pump, _) => _results!.FinishAsync(pump), null);
    }

    protected override void Dispose(bool disposing)
    {
        _results?.Dispose();
        base.Dispose(disposing);
    }

    private async Task WriteAsTheyEndAsync(BatchWait wait, PipelinePump pump, CancellationToken cancellationToken)
    {
        var reading = new List<Task<bool>>();
        try
        {
            await foreach (Batch batch in wait.WaitAsync(_waiting, pump, cancellationToken).ConfigureAwait(false))
            {
                // Not awaited: while the results of one batch are late, other batches can end.
                reading.Add(TryWriteBatchAsync(batch, pump, cancellationToken));
            }
        }
        finally
        {
            await Task.WhenAll(reading).ConfigureAwait(false);
        }

        int complete = reading.Count(task => task.Result);
        _results!.IsIncomplete |= complete < _waiting.Select(batch => batch.Id).Distinct().Count();
    }

    private async Task<bool> TryWriteBatchAsync(Batch batch, PipelinePump pump, CancellationToken cancellationToken)
    {
        try
        {
            return await WriteBatchAsync(SessionMemory.OriginOf(batch)!, batch.Id, batch, pump, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is ServiceException or IOException)
        {
            // Continue with the results of the other batches.
            pump.WriteError(ErrorRecords.From(exception, batch.Id));
            return false;
        }
    }

    /// <summary>Writes the results of a batch. Returns whether they are complete.</summary>
    private async Task<bool> WriteBatchAsync(
        ServiceConnection connection, string id, Batch? known, PipelinePump pump, CancellationToken cancellationToken)
    {
        BatchClient client = ClientFor(connection, pump);
        Batch batch = known is { IsFinished: true } && !BatchRefresh.IsNeeded(known) ? known
            : known is { IsFinished: true } ? SessionMemory.Remember(await BatchRefresh.RefreshAsync(client, known, cancellationToken).ConfigureAwait(false), connection)
            : SessionMemory.Remember(await client.GetBatchAsync(id, cancellationToken: cancellationToken).ConfigureAwait(false), connection);
        ReportFailure(pump, batch);
        return await _results!.WriteBatchAsync(client, batch, pump, cancellationToken).ConfigureAwait(false);
    }

    private IRequestSource? ReadRequests()
    {
        if (Request is not null)
        {
            var list = new RequestList();
            foreach (BatchRequest request in Request.Where(request => !list.Add(request)))
            {
                WriteError(ErrorRecords.Of("DuplicateCustomId.Request", request, request.CustomId));
            }

            return list;
        }

        if (RequestPath is null)
        {
            return null;
        }

        // With only some of the files, results would seem to belong to no request. So a file that cannot be read ends the command.
        var index = new RequestIndex();
        foreach (string path in new PathResolver(this, ThrowTerminatingError).Files(RequestPath, literal: false))
        {
            try
            {
                if (index.Add(path, StopToken) is > 0 and int skipped)
                {
                    WriteWarning(Messages.Text("Warning.LinesLeftOut", skipped, path));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                ThrowTerminatingError(ErrorRecords.From(exception, path));
            }
        }

        return index;
    }
}
