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
/// Invoke-Batch: objects in, results out. Builds the requests, sends them, waits, and gives one result for each input
/// object, sending again what failed for a reason that may pass. Costs money.
/// </summary>
[Cmdlet(VerbsLifecycle.Invoke, "Batch", SupportsShouldProcess = true)]
[OutputType(typeof(BatchResult))]
public sealed class InvokeBatchCommand : RequestCommand
{
    private const string SummaryTag = "BatchRunSummary";

    /// <summary>-CustomId and what else a request itself has a property for is no sign: it binds by name.</summary>
    private static readonly string[] s_buildingParameters =
    [
        nameof(Prompt), nameof(SystemPrompt), nameof(Image), nameof(Model), nameof(Message), nameof(Endpoint), nameof(MaxTokens), nameof(Temperature),
        nameof(TopP), nameof(Seed), nameof(Stop), nameof(ResponseSchema), nameof(Tool), nameof(Body),
    ];

    private readonly long _began = TimeProvider.System.GetTimestamp();
    private ServiceConnection? _connection;
    private RunStore? _store;
    private RunInput? _input;
    private ResultMeasure? _measure;
    private int _leftOut;
    private int _perhapsPaid;
    private int _notSent;
    private bool _ignoredWereTold;

    /// <summary>How often a request is sent in all.</summary>
    [Parameter]
    [ValidateRange(1, 100)]
    public int MaxAttempts { get; set; } = RunOptions.DefaultMaxAttempts;

    /// <summary>Give results in input order, when all are there.</summary>
    [Parameter]
    public SwitchParameter Ordered { get; set; }

    /// <summary>Seconds to wait for the batches of one round, and for a service that cannot be reached; as long as it takes when not given.</summary>
    [Parameter]
    [Alias("TimeoutSec")]
    [SecondsTransformation]
    public double? Timeout { get; set; }

    /// <summary>Put on each batch: up to 16 pairs of strings.</summary>
    [Parameter]
    [ValidateNotNull]
    [ArgumentCompleter(typeof(MetadataCompleter))]
    public Hashtable? Metadata { get; set; }

    /// <inheritdoc cref="NewBatchCommand.CompletionWindow"/>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(CompletionWindowCompleter))]
    public string? CompletionWindow { get; set; }

    /// <summary>Send equal requests once, and give each row the one answer.</summary>
    [Parameter]
    public SwitchParameter Deduplicate { get; set; }

    /// <summary>A folder that holds the run, so that the same command goes on with it after it was ended at any instant.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? CheckpointPath { get; set; }

    /// <summary>Send the rows of the checkpoint again that have failed.</summary>
    [Parameter]
    public SwitchParameter RetryFailed { get; set; }

    /// <summary>How many rows may fail, as a count or a percentage, before the run stops and cancels what is open.</summary>
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

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (RetryFailed && CheckpointPath is null)
        {
            ThrowTerminatingError(ErrorRecords.Of("InvalidValue.RetryFailed", null));
        }

        _measure = new ResultMeasure(PriceChoice.Read(this, InputPrice, OutputPrice, PricePath));
        string? folder = CheckpointPath is null ? null : Paths.Output(CheckpointPath) ?? "";
        _connection = new ConnectionChoice(this, Connection, BaseUri ?? LocalAddressOf(folder), ApiKey).Resolve();
        if (folder is "")
        {
            return; // The error is written.
        }

        OrThrow(
            () =>
            {
                // With -WhatIf nothing is made but what goes again.
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
        // A request that is one already goes as it is.
        object? input = InputObject is PSObject wrapped ? wrapped.BaseObject : InputObject;
        if (_input is null)
        {
            return;
        }

        if (input is BatchRequest)
        {
            WarnOfWhatIsIgnored();
        }

        if ((input as BatchRequest ?? Build()) is not { } request)
        {
            _leftOut++;
            return;
        }

        try
        {
            OrThrow(() => _input.Add(request), request.InputObject);
        }
        catch (RequestRefusedException exception)
        {
            _leftOut++;
            WriteError(ErrorRecords.From(exception, request.InputObject));
        }
    }

    protected override void EndProcessing()
    {
        // No rows for a checkpoint that holds some is a mismatch, not nothing to do.
        if (_input is { Count: 0 } && !_store!.IsSpooled)
        {
            if (_leftOut > 0)
            {
                Say(Summary(0, 0, null, 0));
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
            SayWhatGoesOn(engine);
            throw;
        }

        Say(summary);

        async Task<BatchRunSummary> RunAsync(PipelinePump pump, CancellationToken cancellationToken)
        {
            using var reporter = new RunReporter(pump, _connection!, Timeout, MaxFailed, CheckpointPath);
            using RunRequests requests = _input.Complete();
            _input = null; // What it kept to compare by is no longer needed.
            engine = new RunEngine(new BatchClient(_connection!, warn: pump.WriteWarning), _store!, requests, Options(), reporter);
            try
            {
                await foreach (BatchResult result in engine.RunAsync(cancellationToken).ConfigureAwait(false))
                {
                    _measure!.Add(result);
                    _perhapsPaid += RunEngine.IsPerhapsPaid(result) ? 1 : 0;
                    _notSent += result.Error?.Code == RunEngine.NotSentCode ? 1 : 0;
                    await pump.WriteObjectAsync(result).ConfigureAwait(false);
                }
            }
            catch (ServiceException) when (WhatGoesOn(engine) is { } text)
            {
                pump.WriteWarning(text);
                throw;
            }

            if (engine.NotAskedFor > 0)
            {
                pump.WriteWarning(Messages.Text("Warning.NotAskedForInRun", engine.NotAskedFor));
            }

            return Summary(requests.RowCount, requests.Count, engine, reporter.Created, await RetriesAsync(engine.BatchIds, cancellationToken).ConfigureAwait(false));
        }
    }

    protected override void Dispose(bool disposing)
    {
        _input?.Dispose();
        _store?.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>Where nothing says where calls go, a run that was begun at a service on this machine goes on there: never at one that bills.</summary>
    private Uri? LocalAddressOf(string? folder)
    {
        bool isOpen = Connection is null && SessionMemory.Default is null && string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(ConnectionResolver.AddressVariable));
        return isOpen && folder is not (null or "") && RunStore.ServiceOf(folder) is { } begun && Loopback.Is(begun.Address)
            ? Run((_, token) => LocalRun.FindAsync(begun, token)) ?? begun.Address : null;
    }

    /// <summary>
    /// The summary goes to the information stream, for -InformationVariable and 6>; a person at a console sees it too.
    /// Never where standard output goes elsewhere: it would stand amid what is written there.
    /// </summary>
    private void Say(BatchRunSummary summary)
    {
        WriteInformation(summary, [SummaryTag]);
        if (!Console.IsOutputRedirected)
        {
            var lines = new HostInformationMessage { Message = string.Join(Environment.NewLine, SummaryText.Lines(summary)) };
            WriteInformation(lines, ["PSHOST"]);
        }

        if (summary.WithoutAnswer is { Length: > 0 } unanswered)
        {
            string text = Messages.Text("Warning.RowsWithoutAnswer", summary.Rows - summary.Results.Succeeded, summary.Rows, unanswered);
            WriteWarning(CheckpointPath is null ? text : string.Join(' ', WhatTheSameCommandDoes(summary).Prepend(text)));
        }
    }

    /// <summary>What the same command does with the rows of the checkpoint that have no answer.</summary>
    private IEnumerable<string> WhatTheSameCommandDoes(BatchRunSummary summary)
    {
        if (summary.Unanswered > 0)
        {
            yield return Messages.Text("Warning.RowsStillOpen", summary.Unanswered);
        }

        if (_notSent > 0)
        {
            yield return Messages.Text("Warning.RowsNotSent", _notSent);
        }

        if (summary.Results.Failed + summary.Results.Expired + summary.Results.Missing > _notSent)
        {
            yield return Messages.Text("Warning.RowsToRetry");
        }

        if (_perhapsPaid > 0)
        {
            yield return Messages.Text("Warning.RowsPerhapsPaid", _perhapsPaid);
        }
    }

    private BatchRunSummary Summary(long taken, long requests, RunEngine? engine, int created, RetryCounts? retries = null) => new()
    {
        Rows = taken + _leftOut,
        LeftOut = _leftOut,
        Requests = requests,
        Results = _measure!.Sum(),
        BatchIds = engine?.BatchIds ?? [],
        BatchesCreated = created,
        Rounds = engine?.Attempts ?? 0,
        IsStopped = engine?.IsStopped == true,
        Retries = retries,
        Elapsed = TimeProvider.System.GetElapsedTime(_began),
    };

    /// <summary>What a local service says of its batches; hosted services say nothing.</summary>
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
            if (await client.FindRetriesAsync(id, cancellationToken).ConfigureAwait(false) is { } retries)
            {
                all = all is null ? retries : all + retries;
            }
        }

        return all;
    }

    /// <summary>Parameters that make a request do nothing for one that is there already, and who gave them means something by it.</summary>
    private void WarnOfWhatIsIgnored()
    {
        if (_ignoredWereTold)
        {
            return;
        }

        _ignoredWereTold = true;
        string[] ignored = [.. s_buildingParameters.Where(MyInvocation.BoundParameters.ContainsKey)];
        if (ignored.Length > 0)
        {
            WriteWarning(Messages.Text("Warning.RequestAsItIs", string.Join(", -", ignored), ignored.Length));
        }
    }

    private void SayWhatGoesOn(RunEngine? engine)
    {
        if (WhatGoesOn(engine) is { } text)
        {
            Host?.UI?.WriteWarningLine(text);
        }
    }

    /// <summary>How to take up a run again that ended early; null when nothing is open.</summary>
    private string? WhatGoesOn(RunEngine? engine)
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
