using System.Collections;
using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>New-Batch: creates a batch from an uploaded file. It starts at once, and costs money.</summary>
[Cmdlet(VerbsCommon.New, "Batch", SupportsShouldProcess = true, DefaultParameterSetName = FileSet)]
[OutputType(typeof(Batch))]
public sealed class NewBatchCommand : ServiceCommand
{
    private const string FileSet = "File";
    private const string IdSet = "Id";
    private const string DefaultEndpoint = "/v1/chat/completions";

    /// <summary>The file, from Send-BatchFile.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = FileSet)]
    [ValidateNotNull]
    public BatchFile? File { get; set; }

    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Alias("FileId")]
    [ArgumentCompleter(typeof(InputFileIdCompleter))]
    [ValidateNotNullOrEmpty]
    public string? InputFileId { get; set; }

    /// <summary>The endpoint of all requests in the file. By default the one that Send-BatchFile found, else /v1/chat/completions.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true, ParameterSetName = IdSet)]
    [Parameter(ParameterSetName = FileSet)]
    [EndpointTransformation]
    [ArgumentCompleter(typeof(EndpointCompleter))]
    public string? Endpoint { get; set; }

    /// <summary>The time that the service has, in its own format. By default the provider's usual window, mostly 24h.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(CompletionWindowCompleter))]
    public string? CompletionWindow { get; set; }

    /// <summary>Metadata for the batch: up to 16 pairs of strings.</summary>
    [Parameter]
    [TextTableTransformation]
    [ValidateNotNull]
    [ArgumentCompleter(typeof(MetadataCompleter))]
    public Hashtable? Metadata { get; set; }

    /// <summary>The URL that the service calls once when the batch has ended: https, or http on this machine if the local service allows it.</summary>
    [Parameter]
    [ValidateNotNull]
    public Uri? WebhookUrl { get; set; }

    /// <summary>Seconds after which the service may delete the output, 3600 to 2592000.</summary>
    [Parameter]
    [Alias("OutputExpiresAfterSec")]
    [SecondsTransformation]
    [ValidateRange(3600.0, 2592000.0)]
    public double OutputExpiresAfter { get; set; }

    protected override void BeginProcessing()
    {
        if (WebhookUrl is { } url && !(url.IsAbsoluteUri && (url.Scheme == Uri.UriSchemeHttps || (url.Scheme == Uri.UriSchemeHttp && Loopback.Is(url)))))
        {
            ThrowTerminatingError(ErrorRecords.Of("InvalidValue.NotHttps", url, url));
        }
    }

    protected override void ProcessRecord()
    {
        string id = File?.Id ?? InputFileId!;
        ServiceConnection connection = Resolve(File);
        if (!ShouldProcess(Messages.Text("Target.At", id, connection), Messages.Text(Loopback.Is(connection.BaseUri) ? "Action.CreateBatch" : "Action.CreateBilledBatch")))
        {
            return;
        }

        var request = new NewBatch
        {
            InputFileId = id,
            IsOnlyBatchOfFile = SessionMemory.IsFirstBatchOf(File),
            FileSentAt = SessionMemory.SentAt(id),
            Endpoint = Endpoint ?? File?.Endpoint ?? DefaultEndpoint,
            CompletionWindow = CompletionWindow ?? connection.Profile.CompletionWindows[0],
            Metadata = MetadataReader.Read(Metadata),
            WebhookUrl = WebhookUrl,
            OutputExpiresAfter = OutputExpiresAfter > 0 ? (int)OutputExpiresAfter : null,
        };
        try
        {
            if (TryRun((pump, token) => ClientFor(connection, pump).CreateBatchAsync(request, null, token), id, out Batch? batch))
            {
                WriteObject(SessionMemory.Remember(batch, connection));
            }
        }
        catch (PipelineStoppedException) when (Stopping)
        {
            Host?.UI?.WriteWarningLine(Messages.Text("Warning.CreateUnknown", id));
            throw;
        }
    }
}
