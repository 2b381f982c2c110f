using System.Collections;
using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Http;
using InferenceBatch.Lines;
using InferenceBatch.LocalServer;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Runs;
using InferenceBatch.Service;
using InferenceBatch.Session;
using InferenceBatch.Views;

namespace InferenceBatch.Commands;

/// <summary>
/// Invoke-Batch: builds a request from each input object, sends the requests, waits, retries those that failed for a temporary reason, and
/// returns one result for each request. Costs money.
/// </summary>
[Cmdlet(VerbsLifecycle.Invoke, "Batch", SupportsShouldProcess = true)]
[OutputType(typeof(BatchResult))]
public sealed class InvokeBatchCommand : RequestCommand
{
    private const string SummaryTag = "BatchRunSummary";

    /// <summary>
    /// Parameters that have no effect on an input object that is already a request. Without -CustomId: a request has a property of that
    /// name, so it is always bound.
    /// </summary>
    private static readonly string[] s_requestParameters =
    [
        nameof(Prompt), nameof(SystemPrompt), nameof(Image), nameof(Model), nameof(Message), nameof(Endpoint), nameof(MaxTokens), nameof(Temperature),
        nameof(TopP), nameof(Seed), nameof(Stop), nameof(ResponseSchema), nameof(Tool), nameof(Body),
    ];

    private ServiceConnection? _connection;
    private RunStore? _store;
    private RunInput? _input;
    private RunTally? _tally;
    private bool _hasWarnedOfIgnored;

    /// <summary>How often a request is sent at most.</summary>
    [Parameter]
    [ValidateRange(1, 100)]
    public int MaxAttempts { get; set; } = RunOptions.DefaultMaxAttempts;

    /// <summary>Returns results in input order, after all are there.</summary>
    [Parameter]
    public SwitchParameter Ordered { get; set; }

    /// <summary>The maximum time in seconds to wait for the batches of one round, and for a service that cannot be reached. Null for no limit.</summary>
    [Parameter]
    [Alias("TimeoutSec")]
    [SecondsTransformation]
    public double? Timeout { get; set; }

    /// <summary>Metadata for each batch: up to 16 pairs of strings.</summary>
    [Parameter]
    [TextTableTransformation]
    [ValidateNotNull]
    [ArgumentCompleter(typeof(MetadataCompleter))]
    public Hashtable? Metadata { get; set; }

    /// <inheritdoc cref="NewBatchCommand.CompletionWindow"/>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(CompletionWindowCompleter))]
    public string? CompletionWindow { get; set; }

    /// <summary>Sends equal requests once. Each of their rows gets the same answer.</summary>
    [Parameter]
    public SwitchParameter Deduplicate { get; set; }

    /// <summary>The folder for the checkpoint. After an interruption at any point, the same command resumes the run.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? CheckpointPath { get; set; }

    /// <summary>Sends the failed rows of the checkpoint again.</summary>
    [Parameter]
    public SwitchParameter RetryFailed { get; set; }

    /// <summary>How many rows may fail, as a count or a percentage. With more, the run stops and cancels open batches.</summary>
    [Parameter]
    [FailureLimitTransformation]
    public FailureLimit? MaxFailed { get; set; }

    /// <inheritdoc cref="MeasureBatchResultCommand.InputPrice"/>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? InputPrice { get; set; }

    /// <inheritdoc cref="MeasureBatchResultCommand.OutputPrice"/>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? OutputPrice { get; set; }

    /// <inheritdoc cref="MeasureBatchResultCommand.PricePath"/>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? PricePath { get; set; }

    private protected override ServiceProfile? TargetProfile => _connection!.Profile;

    protected override void BeginProcessing()
    {
        if (RetryFailed && CheckpointPath is null)
        {
            ThrowTerminatingError(ErrorRecords.Of("InvalidValue.RetryFailed", null));
        }

        _tally = new RunTally(PriceChoice.Read(this, InputPrice, OutputPrice, PricePath));
        string? folder = CheckpointPath is null ? null : Paths.Output(CheckpointPath) ?? "";
        _connection = new ConnectionChoice(this, Connection, BaseUri ?? LocalAddressOf(folder), ApiKey).Resolve();
        base.BeginProcessing();
        if (folder is "")
        {
            return; // Output has written the error.
        }

        OrThrow(
            () =>
            {
                // -WhatIf creates no checkpoint. It opens an existing one, to count the requests that would be sent.
                RunService? begun = folder is null ? null : RunStore.ServiceOf(folder);
                bool isLocal = folder is not null && Loopback.Is(_connection.BaseUri);
                _store = folder is not null && (!IsWhatIf || begun is not null) ? RunStore.Open(folder) : RunStore.Temporary();
                _store.Begin(
                    _connection,
                    isLocal && begun?.Instance is not null ? Run((_, token) => LocalRun.AskAsync(_connection.BaseUri, token)) : null,
                    isLocal ? LocalRun.DataPathOf(_connection.BaseUri) : null,
                    service => Run((_, token) => LocalRun.FindAsync(service, token)));
                _input = new RunInput(_store, _connection.Profile.MaxRequests, _connection.Profile.MaxBytes, Deduplicate);
            },
            folder);
    }

    protected override void ProcessRecord()
    {
        // An input object that is already a request is sent unchanged.
        object? input = InputObject is PSObject wrapped ? wrapped.BaseObject : InputObject;
        if (_input is null)
        {
            return;
        }

        if (input is BatchRequest)
        {
            WarnOfIgnoredParameters();
        }

        if ((input as BatchRequest ?? Build()) is not { } request)
        {
            _tally!.LeftOut += IsSkipped ? 0 : 1;
            return;
        }

        // Built requests differ only in texts, so the first one shows whether -Message, -Body and -ResponseSchema are valid.
        if ((input is BatchRequest || _input.Count == 0) && BodyRules.FindFault(request) is { } fault)
        {
            ErrorRecord error = ErrorRecords.Of("InvalidValue.Request", request, Messages.Text("Input.Request", request.CustomId), fault);
            if (input is not BatchRequest)
            {
                ThrowTerminatingError(error);
            }

            _tally!.LeftOut++;
            Refuse(error);
            return;
        }

        try
        {
            OrThrow(() => _input.Add(request), request.InputObject);
            Accept();
        }
        catch (RequestRefusedException exception)
        {
            _tally!.LeftOut++;
            Refuse(ErrorRecords.From(exception, request.InputObject));
        }
    }

    protected override void EndProcessing()
    {
        EndInput();
        // If the checkpoint has rows, no input is a mismatch, which the run reports.
        if (_input is { Count: 0 } && !_store!.IsSpooled)
        {
            if (_tally!.LeftOut > 0)
            {
                WriteSummary(_tally.Summarize(0, 0, null, 0));
            }

            return;
        }

        if (_input is null || !ShouldProcess(Messages.Text("Target.Requests", _input.Count, _connection), Messages.Text(Loopback.Is(_connection!.BaseUri) ? "Action.Run" : "Action.RunBilled")))
        {
            return;
        }

        RunEngine? engine = null;
        BatchRunSummary summary;
        try
        {
            summary = RunOrThrow(RunAsync, CheckpointPath);
        }
        catch (PipelineStoppedException) when (Stopping)
        {
            // The streams of the cmdlet are closed by now; the host's are not.
            if (ResumeAdvice(engine) is { } advice)
            {
                Host?.UI?.WriteWarningLine(advice);
            }

            throw;
        }

        WriteSummary(summary);

        async Task<BatchRunSummary> RunAsync(PipelinePump pump, CancellationToken cancellationToken)
        {
            using var reporter = new RunReporter(pump, _connection!, Timeout, MaxFailed, CheckpointPath);
            using RunRequests requests = _input.Complete();
            _input = null; // Frees the memory that it used for comparing requests.
            engine = new RunEngine(new BatchClient(_connection!, warn: pump.WriteWarning), _store!, requests, Options(), reporter);
            try
            {
                await foreach (BatchResult result in engine.RunAsync(cancellationToken).ConfigureAwait(false))
                {
                    _tally!.Add(result);
                    await pump.WriteObjectAsync(result).ConfigureAwait(false);
                }
            }
            catch (ServiceException) when (ResumeAdvice(engine) is { } advice)
            {
                pump.WriteWarning(advice);
                throw;
            }

            if (engine.Unrequested > 0)
            {
                pump.WriteWarning(Messages.Text("Warning.NotAskedForInRun", engine.Unrequested));
            }

            return _tally!.Summarize(requests.RowCount, requests.Count, engine, reporter.Created, await RetriesAsync(engine.BatchIds, cancellationToken).ConfigureAwait(false));
        }
    }

    protected override void Dispose(bool disposing)
    {
        _input?.Dispose();
        _store?.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>
    /// Returns the address of the local service that the checkpoint's run was started with, if no connection was chosen. So the run resumes
    /// there, not at the default provider, which bills. Null in all other cases.
    /// </summary>
    private Uri? LocalAddressOf(string? folder)
    {
        bool isChosen = Connection is not null || SessionMemory.Default is not null || !string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(ConnectionResolver.AddressVariable));
        return !isChosen && folder is not (null or "") && RunStore.ServiceOf(folder) is { } begun && Loopback.Is(begun.Address)
            ? Run((_, token) => LocalRun.FindAsync(begun, token)) ?? begun.Address : null;
    }

    /// <summary>
    /// Writes the summary to the information stream, for -InformationVariable and 6>, and to the console. If standard output is redirected,
    /// the console gets nothing, because the text would become part of that output.
    /// </summary>
    private void WriteSummary(BatchRunSummary summary)
    {
        WriteInformation(summary, [SummaryTag]);
        if (!Console.IsOutputRedirected)
        {
            var lines = new HostInformationMessage { Message = string.Join(Environment.NewLine, SummaryText.Lines(summary)) };
            WriteInformation(lines, ["PSHOST"]);
        }

        if (_tally!.WarningFor(summary, hasCheckpoint: CheckpointPath is not null) is { } warning)
        {
            WriteWarning(warning);
        }
    }

    /// <summary>Returns the sum of the retries that a local service made for the batches; null for hosted services, which do not report them.</summary>
    private async Task<RetryCounts?> RetriesAsync(IReadOnlyList<string> batchIds, CancellationToken cancellationToken)
    {
        if (_connection!.Profile != ServiceProfile.Local)
        {
            return null;
        }

        RetryCounts? all = null;
        var client = new BatchClient(_connection);
        foreach (string id in batchIds)
        {
            if (await client.FindRetryCountsAsync(id, cancellationToken).ConfigureAwait(false) is { } retries)
            {
                all = all is null ? retries : all + retries;
            }
        }

        return all;
    }

    /// <summary>Warns once that parameters which build requests do not change an input object that is already a request.</summary>
    private void WarnOfIgnoredParameters()
    {
        if (_hasWarnedOfIgnored)
        {
            return;
        }

        _hasWarnedOfIgnored = true;
        string[] ignored = [.. s_requestParameters.Where(MyInvocation.BoundParameters.ContainsKey)];
        if (ignored.Length > 0)
        {
            WriteWarning(Messages.Text("Warning.RequestAsItIs", string.Join(", -", ignored), ignored.Length));
        }
    }

    /// <summary>Returns how to resume a run that ended early; null if nothing is open.</summary>
    private string? ResumeAdvice(RunEngine? engine)
    {
        string? text = CheckpointPath is not null ? Messages.Text("Warning.RunIsKept", CheckpointPath)
            : engine?.OpenBatches.Count > 0 ? Messages.Text("Warning.RunGoesOn", BatchWait.ResumeLine(engine.OpenBatches))
            : null;
        return CheckpointPath is null && engine?.CreatingFrom is { } fileId ? $"{text} {Messages.Text("Warning.CreateUnknown", fileId)}".Trim() : text;
    }

    private bool IsWhatIf => MyInvocation.BoundParameters.TryGetValue("WhatIf", out object? given)
        ? given is SwitchParameter { IsPresent: true } : LanguagePrimitives.IsTrue(GetVariableValue("WhatIfPreference"));

    private void OrThrow(Action step, object? target)
    {
        try
        {
            step();
        }
        catch (Exception exception) when (exception is RunMismatchException or IOException or UnauthorizedAccessException)
        {
            ThrowTerminatingError(ErrorRecords.From(exception, target));
        }
    }

    private RunOptions Options() => new()
    {
        MaxAttempts = MaxAttempts,
        Ordered = Ordered,
        RetryFailed = RetryFailed,
        MaxFailed = MaxFailed,
        Timeout = TimeLimit.Of(Timeout),
        CompletionWindow = CompletionWindow ?? _connection!.Profile.CompletionWindows[0],
        Metadata = MetadataReader.Read(Metadata),
        ValueReader = JsonValue.ObjectOrArray,
    };
}
