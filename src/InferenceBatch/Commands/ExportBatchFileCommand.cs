using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Commands;

/// <summary>
/// Export-BatchFile: writes requests to a batch file, or to several if one would exceed the limits. The files get their names after all are
/// complete. If the command ends before that, it leaves no files behind.
/// </summary>
[Cmdlet(VerbsData.Export, "BatchFile", SupportsShouldProcess = true)]
[OutputType(typeof(FileInfo))]
public sealed class ExportBatchFileCommand : BatchCommand
{
    private const int RequestsBetweenReports = 256;

    private FileSplitter? _splitter;
    private ProgressReporter? _progress;
    private string _path = "";

    [Parameter(Mandatory = true, Position = 0)]
    [Alias("LiteralPath")]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = "";

    [Parameter(Mandatory = true, ValueFromPipeline = true)]
    [Alias("Request")]
    public BatchRequest? InputObject { get; set; }

    /// <summary>The maximum number of requests in a file.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int MaxRequest { get; set; } = new ValidationRules().MaxRequests;

    /// <summary>The maximum size of a file in bytes. PowerShell reads 200MB as 209,715,200.</summary>
    [Parameter]
    [ValidateRange(1, long.MaxValue)]
    public long MaxSize { get; set; } = new ValidationRules().MaxBytes;

    /// <summary>Replaces existing files.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void BeginProcessing()
    {
        _path = Paths.OutputFile(Path, Force);
        if (ShouldProcess(_path, Messages.Text("Action.WriteFile")))
        {
            _splitter = new FileSplitter(_path, MaxRequest, MaxSize);
            _progress = new ProgressReporter(Messages.Text("Progress.Writing"), WriteProgress);
        }
    }

    protected override void ProcessRecord()
    {
        if (_splitter is null || InputObject is null)
        {
            return;
        }

        try
        {
            _splitter.Add(InputObject);
        }
        catch (RequestRefusedException exception)
        {
            WriteError(ErrorRecords.From(exception, InputObject));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            ThrowTerminatingError(ErrorRecords.FileUnwritable(_path, exception));
        }

        if (_splitter.Count % RequestsBetweenReports == 0)
        {
            _progress!.Report(0, 0, () => Messages.Text("Progress.Requests", _splitter.Count));
        }
    }

    protected override void EndProcessing()
    {
        if (_splitter is null)
        {
            return;
        }

        _progress!.Dispose();
        if (_splitter.Count == 0)
        {
            WriteWarning(Messages.Text("Warning.NoRequest", _path));
            return;
        }

        foreach (FilePart part in Rename(_splitter))
        {
            WriteObject(Paths.Item(part.Path));
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _splitter?.Dispose();
        }

        base.Dispose(disposing);
    }

    private IReadOnlyList<FilePart> Rename(FileSplitter splitter)
    {
        try
        {
            return splitter.Rename(Force);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            ThrowTerminatingError(ErrorRecords.FileUnwritable(_path, exception));
            throw;
        }
    }
}
