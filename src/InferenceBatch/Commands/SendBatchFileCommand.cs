using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>
/// Send-BatchFile: checks batch files and uploads them. Requests from the pipeline are first written to temporary files, split at the
/// limits of the service, and uploaded after all have arrived.
/// </summary>
[Cmdlet(VerbsCommunications.Send, "BatchFile", SupportsShouldProcess = true, DefaultParameterSetName = PathSet)]
[OutputType(typeof(BatchFile))]
public sealed class SendBatchFileCommand : ServiceCommand
{
    private const string PathSet = "Path";
    private const string LiteralPathSet = "LiteralPath";
    private const string RequestSet = "Request";
    private const string ResultSet = "Result";

    private RequestSpool? _spool;

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = PathSet)]
    [PathTransformation]
    [ValidateNotNullOrEmpty]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = LiteralPathSet)]
    [Alias("PSPath", "FullName")]
    [ValidateNotNullOrEmpty]
    public string[]? LiteralPath { get; set; }

    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = RequestSet)]
    [ValidateNotNull]
    public BatchRequest? Request { get; set; }

    /// <summary>Results whose requests to send again.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = ResultSet)]
    [ValidateNotNull]
    public BatchResult? Result { get; set; }

    /// <summary>Sends files unchanged and unchecked. The service checks them.</summary>
    [Parameter]
    public SwitchParameter SkipValidation { get; set; }

    /// <summary>Seconds after which the service may delete the file, 3600 to 2592000.</summary>
    [Parameter]
    [Alias("ExpiresAfterSec")]
    [SecondsTransformation]
    [ValidateRange(3600.0, 2592000.0)]
    public double ExpiresAfter { get; set; }

    protected override void ProcessRecord()
    {
        if (Result is not null)
        {
            Request = Result.Request;
            if (Request is null)
            {
                WriteError(ErrorRecords.Of("RequestMissing", Result, Result.CustomId));
                return;
            }
        }

        if (Request is not null)
        {
            AddToSpool(Request);
            return;
        }

        foreach (string path in Path is not null ? Paths.Files(Path, literal: false) : Paths.Files(LiteralPath!, literal: true))
        {
            SendFile(path);
        }
    }

    protected override void EndProcessing()
    {
        if (_spool is null)
        {
            return;
        }

        IReadOnlyList<FilePart> parts = RunOrThrow((_, _) => Task.FromResult(_spool.Finish()), null);
        for (int i = 0; i < parts.Count; i++)
        {
            Send(parts[i].Path, parts.Count == 1 ? "requests.jsonl" : $"requests-{i + 1:000}.jsonl", null, 0);
        }
    }

    protected override void Dispose(bool disposing)
    {
        _spool?.Dispose();
        base.Dispose(disposing);
    }

    private void AddToSpool(BatchRequest request)
    {
        ServiceProfile profile = Resolve().Profile;
        try
        {
            _spool ??= new RequestSpool(profile.MaxRequests, profile.MaxBytes);
            _spool.Add(request);
        }
        catch (RequestRefusedException exception)
        {
            WriteError(ErrorRecords.From(exception, request));
        }
        catch (FileUnwritableException exception)
        {
            // Nothing was sent yet.
            ThrowTerminatingError(ErrorRecords.From(exception, request));
        }
    }

    /// <summary>
    /// Sends a file of the user. Removes a byte order mark, and converts UTF-16, as written by some editors and Out-File, to UTF-8 with a
    /// warning.
    /// </summary>
    private void SendFile(string path)
    {
        string name = System.IO.Path.GetFileName(path);
        TextFileStart start = default;
        if (!SkipValidation && !TryRun((_, _) => Task.FromResult(TextFileStart.Of(path)), path, out start))
        {
            return;
        }

        if (!start.IsUtf16)
        {
            if (start.MarkLength > 0)
            {
                WriteVerbose(Messages.Text("Verbose.ByteOrderMark", name));
            }

            Send(path, name, path, start.MarkLength);
            return;
        }

        if (!TryRun((_, _) => Task.FromResult(TemporaryFolder.Create()), path, out TemporaryFolder? folder))
        {
            return;
        }

        using TemporaryFolder owned = folder;
        string converted = System.IO.Path.Combine(folder.FullPath, "converted.jsonl");
        if (TryRun((_, token) => ConvertAsync(path, start, converted, token), path, out _))
        {
            WriteWarning(Messages.Text("Warning.Utf16Converted", name));
            Send(converted, name, path, 0);
        }
    }

    /// <param name="path">The file on disk.</param>
    /// <param name="name">The name for the service and for messages.</param>
    /// <param name="origin">The user's file; null for a temporary one.</param>
    /// <param name="offset">The number of bytes at the start of the file that are not sent.</param>
    private void Send(string path, string name, string? origin, int offset)
    {
        ServiceConnection connection = Resolve();
        BatchFileReport? report = null;
        if (!SkipValidation
            && (!TryRun((pump, token) => Task.FromResult(Check(connection, pump, path, name, token)), origin ?? path, out report) || !IsSendable(report, name)))
        {
            return;
        }

        string what = report is null ? name : Messages.Text("Target.File", name, report.RequestCount);
        if (ShouldProcess(what, Messages.Text("Action.Send", connection))
            && TryRun((pump, token) => UploadAsync(connection, pump, path, name, offset, token), origin ?? path, out BatchFile? file))
        {
            SessionMemory.NoteSent(file);
            WriteObject(SessionMemory.Remember(
                file with
                {
                    Path = origin,
                    FileName = file.FileName ?? name,
                    Bytes = file.Bytes ?? InputFile.Info(path).Length - offset,
                    Endpoint = report?.Endpoint,
                    RequestCount = report?.RequestCount,
                },
                connection));
        }
    }

    private bool IsSendable(BatchFileReport report, string name)
    {
        foreach (LineIssue issue in report.Issues.Where(issue => issue.Severity == IssueSeverity.Warning).Take(1))
        {
            WriteWarning(Messages.Text("Warning.Issue", name, issue));
        }

        SessionMemory.NoteModels(report.Models);
        if (!report.IsValid)
        {
            WriteError(ErrorRecords.InvalidBatchFile(report, name));
        }

        return report.IsValid;
    }

    private static async Task<bool> ConvertAsync(string path, TextFileStart start, string target, CancellationToken cancellationToken)
    {
        await Utf16Converter.ConvertAsync(path, start, target, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private static BatchFileReport Check(ServiceConnection connection, PipelinePump pump, string path, string name, CancellationToken cancellationToken)
    {
        using ProgressReporter progress = Progress(pump, Messages.Text("Progress.Checking", name));
        long size = InputFile.Info(path).Length;
        // The upload omits the byte order mark.
        return new FileValidator(connection.Profile.RulesFor() with { RefusesByteOrderMark = false }).Validate(
            path, new ByteProgress<long>(done => progress.Report(done, size, () => ByteProgress.Describe(done, size))), cancellationToken);
    }

    private async Task<BatchFile> UploadAsync(
        ServiceConnection connection, PipelinePump pump, string path, string name, int offset, CancellationToken cancellationToken)
    {
        using ProgressReporter progress = Progress(pump, Messages.Text("Progress.Sending", name));
        await UploadPace.WaitAsync(connection, progress, cancellationToken).ConfigureAwait(false);
        long size = InputFile.Info(path).Length;
        return await ClientFor(connection, pump).UploadFileAsync(
            path, name, ExpiresAfter > 0 ? (int)ExpiresAfter : null,
            new ByteProgress<long>(done => progress.Report(done, size, () => ByteProgress.Describe(done, size))),
            offset, cancellationToken: cancellationToken).ConfigureAwait(false);
    }
}
