using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Save-BatchFile: downloads files, or the output and error files of batches.</summary>
[Cmdlet(VerbsData.Save, "BatchFile", SupportsShouldProcess = true, DefaultParameterSetName = FileSet)]
[OutputType(typeof(FileInfo))]
public sealed class SaveBatchFileCommand : ServiceCommand
{
    private const string IdSet = "Id";
    private const string FileSet = "File";
    private const string BatchSet = "Batch";

    private readonly HashSet<string> _saved = new(PathResolver.Comparer);
    private string? _destination;

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("FileId")]
    [ArgumentCompleter(typeof(FileIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Id { get; set; }

    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = FileSet)]
    [ValidateNotNull]
    public BatchFile[]? File { get; set; }

    /// <summary>Batches whose output and error files to download.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = BatchSet)]
    [ValidateNotNull]
    public Batch[]? Batch { get; set; }

    /// <summary>A file, or an existing folder. By default the current folder.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    public string Destination { get; set; } = ".";

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void BeginProcessing() => _destination = Paths.Output(Destination);

    protected override void ProcessRecord()
    {
        if (_destination is null)
        {
            return;
        }

        foreach (string id in Id ?? [])
        {
            Save(id, SafeName(id) + ".jsonl", null);
        }

        foreach (BatchFile file in File ?? [])
        {
            Save(file.Id, SafeName(file.FileName ?? file.Id + ".jsonl"), file);
        }

        foreach (Batch batch in (Batch ?? []).Select(Refreshed))
        {
            if (batch.OutputFileId is null && batch.ErrorFileId is null)
            {
                Fail(batch.IsFinished
                    ? ErrorRecords.Of("FileNotFound.NoResults", batch, batch.Id)
                    : ErrorRecords.BatchNotFinished(batch));
            }

            SaveOf(batch, batch.OutputFileId, "output");
            SaveOf(batch, batch.ErrorFileId, "error");
        }
    }

    /// <summary>Returns the current state of a batch if the given object is too old to name its files.</summary>
    private Batch Refreshed(Batch batch)
    {
        ServiceConnection connection = Resolve(batch);
        return !batch.IsFinished || !BatchRefresh.IsNeeded(batch) ? batch
            : TryRun((pump, token) => BatchRefresh.RefreshAsync(ClientFor(connection, pump), batch, token), batch.Id, out Batch? current) ? SessionMemory.Remember(current, connection) : batch;
    }

    private void SaveOf(Batch batch, string? fileId, string kind)
    {
        if (fileId is not null)
        {
            Save(fileId, $"{SafeName(batch.Id)}_{kind}.jsonl", batch);
        }
    }

    private void Save(string id, string name, object? origin)
    {
        bool isFolder = Directory.Exists(_destination) || Path.EndsInDirectorySeparator(Destination);
        string path = isFolder ? Path.Combine(_destination!, name) : _destination!;
        ServiceConnection connection = Resolve(origin);
        if (_saved.Contains(path))
        {
            // -Force replaces files that existed before, not those that this command has written.
            WriteError(ErrorRecords.SavedTwice(path, id));
            return;
        }

        if (System.IO.File.Exists(path) && !Force)
        {
            WriteError(ErrorRecords.FileExists(path));
            return;
        }

        if (!Directory.Exists(Path.GetDirectoryName(path)))
        {
            WriteError(ErrorRecords.FolderNotFound(path));
            return;
        }

        if (!ShouldProcess(path, Messages.Text("Action.Save", id, connection)))
        {
            return;
        }

        if (!TryRun((pump, token) => DownloadAsync(connection, pump, id, origin as Batch, path, token), id, out (bool IsSaved, Exception? Problem) end))
        {
            return;
        }

        if (end.Problem is { } problem)
        {
            WriteError(ErrorRecords.FileUnwritable(path, problem));
            return;
        }

        _saved.Add(path);
        WriteObject(Paths.Item(path));
    }

    /// <summary>Downloads a file. Returns a problem of the disk, and throws errors of the service.</summary>
    private static async Task<(bool IsSaved, Exception? Problem)> DownloadAsync(ServiceConnection connection, PipelinePump pump, string id, Batch? batch, string path, CancellationToken cancellationToken)
    {
        using ProgressReporter progress = Progress(pump, Messages.Text("Progress.Saving", id));
        try
        {
            var bytes = new ByteProgress<(long Bytes, long? Total)>(at => progress.Report(at.Bytes, at.Total ?? 0, () => ByteProgress.Describe(at.Bytes, at.Total)));
            BatchClient client = ClientFor(connection, pump);
            bool isWhole = batch is null ? await Download.ToFileAsync(client, id, path, bytes, cancellationToken).ConfigureAwait(false)
                : await Download.ToFileAsync(client, batch, id, path, bytes, cancellationToken).ConfigureAwait(false);
            if (!isWhole)
            {
                pump.WriteWarning(Messages.Text("Warning.FileIsPartial", id));
            }

            return (true, null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return (false, exception);
        }
    }

    /// <summary>Converts a name from a service to a file name, which cannot contain a path.</summary>
    private static string SafeName(string name)
    {
        string safe = string.Concat(name.Select(c => Path.GetInvalidFileNameChars().Contains(c) || c is '\\' or ':' or '/' ? '_' : c)).TrimStart('.');
        return safe.Length > 0 ? safe : "_";
    }
}
