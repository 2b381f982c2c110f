using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Remove-BatchFile: deletes files at the service.</summary>
[Cmdlet(VerbsCommon.Remove, "BatchFile", SupportsShouldProcess = true, DefaultParameterSetName = FileSet)]
[OutputType(typeof(void))]
public sealed class RemoveBatchFileCommand : ServiceCommand
{
    private const string FileSet = "File";
    private const string IdSet = "Id";

    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = FileSet)]
    [ValidateNotNull]
    public BatchFile[]? File { get; set; }

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("FileId")]
    [ArgumentCompleter(typeof(FileIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Id { get; set; }

    protected override void ProcessRecord()
    {
        foreach ((string id, object? origin) in (File ?? []).Select(file => (file.Id, (object?)file)).Concat((Id ?? []).Select(id => (id, (object?)null))))
        {
            ServiceConnection connection = Resolve(origin);
            if (ShouldProcess(Messages.Text("Target.At", id, connection), Messages.Text("Action.DeleteFile")))
            {
                TryRun(
                    async (pump, token) =>
                    {
                        await ClientFor(connection, pump).DeleteFileAsync(id, token).ConfigureAwait(false);
                        SessionMemory.NoteDeleted(id);
                        SessionMemory.InputFiles.Remove(id);
                        SessionMemory.OutputFiles.Remove(id);
                        return true;
                    },
                    id,
                    out _);
            }
        }
    }
}
