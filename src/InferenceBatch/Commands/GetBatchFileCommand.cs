using System.Management.Automation;
using InferenceBatch.Model;
using InferenceBatch.Pipeline;
using InferenceBatch.Service;

namespace InferenceBatch.Commands;

/// <summary>Get-BatchFile: files the service holds, by id, else all.</summary>
[Cmdlet(VerbsCommon.Get, "BatchFile", DefaultParameterSetName = ListSet)]
[OutputType(typeof(BatchFile))]
public sealed class GetBatchFileCommand : ServiceCommand
{
    private const string ListSet = "List";
    private const string IdSet = "Id";

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("FileId", "InputFileId")]
    [ValidateNotNullOrEmpty]
    public string[]? Id { get; set; }

    /// <summary>Only files of that purpose, such as batch or batch_output.</summary>
    [Parameter(ParameterSetName = ListSet)]
    [ValidateNotNullOrEmpty]
    public string? Purpose { get; set; }

    protected override void ProcessRecord()
    {
        ServiceConnection connection = Resolve();
        if (Id is null)
        {
            RunOrThrow(
                async (pump, token) =>
                {
                    await foreach (BatchFile file in ClientFor(connection, pump).ListFilesAsync(Purpose, token).ConfigureAwait(false))
                    {
                        await pump.WriteObjectAsync(Session.Remember(file, connection)).ConfigureAwait(false);
                    }

                    return true;
                },
                null);
            return;
        }

        foreach (string id in Id)
        {
            if (TryRun((pump, token) => ClientFor(connection, pump).GetFileAsync(id, token), id, out BatchFile? file))
            {
                WriteObject(Session.Remember(file, connection));
            }
        }
    }
}
