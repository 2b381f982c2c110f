using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Get-BatchFile: returns files of the service by ID, or all.</summary>
[Cmdlet(VerbsCommon.Get, "BatchFile", DefaultParameterSetName = ListSet)]
[OutputType(typeof(BatchFile))]
public sealed class GetBatchFileCommand : ServiceCommand
{
    private const string ListSet = "List";
    private const string IdSet = "Id";
    private const string FileSet = "File";

    /// <summary>Files to request again, each from its service.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = FileSet)]
    [ValidateNotNull]
    public BatchFile[]? File { get; set; }

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("FileId", "InputFileId")]
    [ArgumentCompleter(typeof(FileIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Id { get; set; }

    /// <summary>Returns only files with this purpose, such as batch or batch_output.</summary>
    [Parameter(ParameterSetName = ListSet)]
    [ValidateNotNullOrEmpty]
    public string? Purpose { get; set; }

    protected override void ProcessRecord()
    {
        if (ParameterSetName == ListSet)
        {
            ServiceConnection listed = Resolve();
            RunOrThrow(
                async (pump, token) =>
                {
                    await foreach (BatchFile file in ClientFor(listed, pump).ListFilesAsync(Purpose, token).ConfigureAwait(false))
                    {
                        await pump.WriteObjectAsync(SessionMemory.Remember(file, listed, isListed: true)).ConfigureAwait(false);
                    }

                    return true;
                },
                null);
            return;
        }

        foreach ((string id, object? origin) in (File ?? []).Select(file => (file.Id, (object?)file)).Concat((Id ?? []).Select(id => (id, (object?)null))))
        {
            ServiceConnection connection = Resolve(origin);
            if (TryRun((pump, token) => ClientFor(connection, pump).GetFileAsync(id, token), id, out BatchFile? file))
            {
                WriteObject(SessionMemory.Remember(file, connection));
            }
        }
    }
}
