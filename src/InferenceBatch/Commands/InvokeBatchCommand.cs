using System.Collections;
using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Pipeline;
using InferenceBatch.Runs;
using InferenceBatch.Service;

namespace InferenceBatch.Commands;

/// <summary>
/// Invoke-Batch: objects in, results out. Builds the requests, sends them, waits, and gives one result for each input
/// object, sending again what failed for a reason that may pass. Costs money.
/// </summary>
[Cmdlet(VerbsLifecycle.Invoke, "Batch", SupportsShouldProcess = true)]
[OutputType(typeof(BatchResult))]
public sealed class InvokeBatchCommand : RequestCommand
{
    private readonly List<object?> _inputs = [];
    private ServiceConnection? _connection;
    private RequestSpool? _spool;

    /// <inheritdoc cref="ServiceCommand.Connection"/>
    [Parameter]
    [ValidateNotNull]
    public ServiceConnection? Connection { get; set; }

    /// <inheritdoc cref="ServiceCommand.BaseUri"/>
    [Parameter]
    [ValidateNotNull]
    public Uri? BaseUri { get; set; }

    /// <inheritdoc cref="ServiceCommand.ApiKey"/>
    [Parameter]
    [SecretTransformation]
    [AllowNull]
    public SecureString? ApiKey { get; set; }

    /// <summary>How often a request is sent in all.</summary>
    [Parameter]
    [ValidateRange(1, 100)]
    public int MaxAttempts { get; set; } = 3;

    /// <summary>Give results in input order, when all are there.</summary>
    [Parameter]
    public SwitchParameter Ordered { get; set; }

    /// <summary>Seconds to wait for the batches of one attempt; as long as it takes when not given.</summary>
    [Parameter]
    [Alias("TimeoutSec")]
    [SecondsTransformation]
    public double? Timeout { get; set; }

    /// <summary>Put on each batch: up to 16 pairs of strings.</summary>
    [Parameter]
    [ValidateNotNull]
    public Hashtable? Metadata { get; set; }

    /// <inheritdoc cref="NewBatchCommand.CompletionWindow"/>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(CompletionWindowCompleter))]
    public string? CompletionWindow { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        _connection = new ConnectionChoice(this, Connection, BaseUri, ApiKey).Resolve();
        _spool = new RequestSpool(_connection.Profile.MaxRequests, _connection.Profile.MaxBytes);
    }

    protected override void ProcessRecord()
    {
        // A request that is one already goes as it is.
        object? input = InputObject is PSObject wrapped ? wrapped.BaseObject : InputObject;
        if ((input as BatchRequest ?? Build()) is not { } request)
        {
            return;
        }

        try
        {
            _spool!.Add(request);
            _inputs.Add(request.InputObject);
        }
        catch (RequestRefusedException exception)
        {
            WriteError(ErrorRecords.From(exception, request.InputObject));
        }
    }

    protected override void EndProcessing()
    {
        IReadOnlyList<FilePart> parts = _spool!.Finish();
        if (parts.Count == 0 || !ShouldProcess($"{_inputs.Count:N0} requests to {_connection}", "Run a batch, which is billed"))
        {
            return;
        }

        RunEngine? engine = null;
        try
        {
            RunOrThrow((pump, token) => RunAsync(parts, pump, token), null);
        }
        catch (PipelineStoppedException) when (Stopping && engine?.OpenBatches.Count > 0)
        {
            Host?.UI?.WriteWarningLine($"The batches go on, and are billed. To wait for them: {BatchWait.ResumeLine(engine.OpenBatches)}");
            throw;
        }

        async Task<bool> RunAsync(IReadOnlyList<FilePart> files, PipelinePump pump, CancellationToken cancellationToken)
        {
            using var reporter = new RunReporter(pump, _connection!, Timeout);
            var index = new RequestIndex();
            using var requests = new SpooledRequests(index, _inputs);
            foreach (FilePart part in files)
            {
                index.Add(part.Path, cancellationToken);
            }

            engine = new RunEngine(new BatchClient(_connection!, warn: pump.WriteWarning), requests, Options(), reporter);
            await foreach (BatchResult result in engine.RunAsync(files, cancellationToken).ConfigureAwait(false))
            {
                await pump.WriteObjectAsync(result).ConfigureAwait(false);
            }

            if (engine.NotAskedFor > 0)
            {
                pump.WriteWarning($"{engine.NotAskedFor:N0} results belong to none of the requests and were dropped.");
            }

            return true;
        }
    }

    protected override void Dispose(bool disposing)
    {
        _spool?.Dispose();
        base.Dispose(disposing);
    }

    private RunOptions Options() => new()
    {
        Folder = _spool!.Folder,
        MaxAttempts = MaxAttempts,
        Ordered = Ordered,
        Timeout = Timeout is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        CompletionWindow = CompletionWindow ?? _connection!.Profile.CompletionWindows[0],
        Metadata = MetadataReader.Read(Metadata),
        ValueReader = JsonValue.ObjectOrArray,
    };
}
