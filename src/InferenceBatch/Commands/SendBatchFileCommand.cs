using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Pipeline;
using InferenceBatch.Service;

namespace InferenceBatch.Commands;

/// <summary>
/// Send-BatchFile: checks batch files and uploads them. Requests from the pipeline are written to temporary files
/// first, split at the service's limits, and sent when all of them are there.
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
    [ValidateNotNullOrEmpty]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = LiteralPathSet)]
    [Alias("PSPath", "FullName")]
    [ValidateNotNullOrEmpty]
    public string[]? LiteralPath { get; set; }

    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = RequestSet)]
    [ValidateNotNull]
    public BatchRequest? Request { get; set; }

    /// <summary>Results whose requests are to be sent again.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = ResultSet)]
    [ValidateNotNull]
    public BatchResult? Result { get; set; }

    /// <summary>Send files as they are; the service will check them.</summary>
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
                WriteError(ErrorRecords.Make(
                    "RequestMissing", $"The result '{Result.CustomId}' does not know its request. Read results with -RequestPath or -Request.", Result));
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
            Send(path, System.IO.Path.GetFileName(path), path);
        }
    }

    protected override void EndProcessing()
    {
        if (_spool is null)
        {
            return;
        }

        IReadOnlyList<FilePart> parts = _spool.Finish();
        for (int i = 0; i < parts.Count; i++)
        {
            Send(parts[i].Path, parts.Count == 1 ? "requests.jsonl" : $"requests-{i + 1:000}.jsonl", null);
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
        _spool ??= new RequestSpool(profile.MaxRequests, profile.MaxBytes);
        try
        {
            _spool.Add(request);
        }
        catch (RequestRefusedException exception)
        {
            WriteError(ErrorRecords.From(exception, request));
        }
    }

    /// <param name="path">The file on disk.</param>
    /// <param name="name">What the service is told, and a person.</param>
    /// <param name="origin">The file a person knows; null for a temporary one.</param>
    private void Send(string path, string name, string? origin)
    {
        ServiceConnection connection = Resolve();
        BatchFileReport? report = null;
        if (!SkipValidation
            && (!TryRun((pump, token) => Task.FromResult(Check(connection, pump, path, token)), path, out report) || !IsSendable(report, name)))
        {
            return;
        }

        string what = report is null ? name : $"{name} ({report.RequestCount:N0} requests)";
        if (ShouldProcess(what, $"Send to {connection}")
            && TryRun((pump, token) => UploadAsync(connection, pump, path, name, token), path, out BatchFile? file))
        {
            WriteObject(Session.Remember(
                file with
                {
                    Path = origin,
                    FileName = file.FileName ?? name,
                    Bytes = file.Bytes ?? report?.Bytes ?? new FileInfo(path).Length,
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
            WriteWarning($"{name}: {issue}");
        }

        if (!report.IsValid)
        {
            WriteError(ErrorRecords.InvalidBatchFile(report, name));
        }

        return report.IsValid;
    }

    private static BatchFileReport Check(ServiceConnection connection, PipelinePump pump, string path, CancellationToken cancellationToken)
    {
        using ProgressReporter progress = Progress(pump, "Checking " + System.IO.Path.GetFileName(path));
        long size = new FileInfo(path).Length;
        return new FileValidator(connection.Profile.RulesFor()).Validate(
            path, new ByteProgress<long>(done => progress.Report(done, size, () => ByteProgress.Describe(done, size))), cancellationToken);
    }

    private async Task<BatchFile> UploadAsync(
        ServiceConnection connection, PipelinePump pump, string path, string name, CancellationToken cancellationToken)
    {
        using ProgressReporter progress = Progress(pump, "Sending " + name);
        await UploadPace.WaitAsync(connection, progress, cancellationToken).ConfigureAwait(false);
        long size = new FileInfo(path).Length;
        return await ClientFor(connection, pump).UploadFileAsync(
            path, name, ExpiresAfter > 0 ? (int)ExpiresAfter : null,
            new ByteProgress<long>(done => progress.Report(done, size, () => ByteProgress.Describe(done, size))),
            cancellationToken).ConfigureAwait(false);
    }
}
