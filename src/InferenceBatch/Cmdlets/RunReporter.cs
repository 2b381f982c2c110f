using InferenceBatch.Binding;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Service;
using InferenceBatch.Session;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>Reports a run to the user: one progress bar for all phases, warnings, and an error for each part that failed.</summary>
internal sealed class RunReporter(PipelinePump pump, ServiceConnection connection, double? timeoutSeconds, FailureLimit? maxFailed, string? checkpoint)
    : RunObserver, IDisposable
{
    private const int LongestReason = 300;

    private readonly ProgressReporter _progress = new(Messages.Text("Progress.Running"), pump.WriteProgress, atOnce: true);
    private WaitProgress? _waiting;

    private WaitProgress Waiting => _waiting ??= new WaitProgress(_progress);

    public override Task BeforeUploadAsync(FilePart part, int number, int count, CancellationToken cancellationToken) =>
        UploadPace.WaitAsync(connection, _progress, cancellationToken);

    public override void OnUpload(FilePart part, long bytes) =>
        _progress.Report(bytes, part.Bytes, () => Messages.Text("Progress.SendingPart", Waiting.Lead, ByteProgress.Describe(bytes, part.Bytes)));

    /// <summary>Gets the number of batches that this command created, without those of earlier starts.</summary>
    public int Created { get; private set; }

    public override void OnCreated(Batch batch)
    {
        Created++;
        SessionMemory.Remember(batch, connection);
        pump.WriteVerbose(Messages.Text("Verbose.Created", batch.Id));
        OnPolled(batch);
    }

    public override void OnPolled(Batch batch) => Waiting.Show(batch);

    public override void OnHeld(Batch batch, string reason) => pump.WriteWarning(WaitProgress.HeldText(batch, reason));

    public override void OnStalled(Batch batch, TimeSpan unchanged) => pump.WriteWarning(WaitProgress.StallText(batch, unchanged));

    public override void OnBatchFailed(Batch batch) => pump.WriteError(ErrorRecords.BatchFailed(batch));

    public override void OnPollsFailing(ServiceException trouble) => pump.WriteWarning(WaitProgress.TroubleText(trouble));

    public override void OnWaitEnded(string batchId, ServiceException? why, ServiceException? trouble) =>
        pump.WriteError(why is null
            ? ErrorRecords.WaitTimeout(batchId, TimeLimit.Of(timeoutSeconds) ?? TimeSpan.Zero, Waiting.Last(batchId), trouble, ResumeAdvice(batchId))
            : ErrorRecords.From(why, batchId));

    public override void OnProblem(Exception problem) => pump.WriteError(ErrorRecords.From(problem, null));

    public override void OnResultsLate(Batch batch) => pump.WriteWarning(Messages.Text("Warning.ResultsLate", batch.Id));

    public override void OnFileUnreadable(Batch batch, ServiceException problem) =>
        pump.WriteWarning(Messages.Text("Warning.FileUnread", batch.Id, problem.Message));

    public override void OnOutage(ServiceException trouble, TimeSpan since) => pump.WriteWarning(Messages.Text("Warning.SendingWaits", Math.Round(since.TotalSeconds), trouble.Message));

    public override void OnQueueFull(int parts, ServiceException reason) =>
        pump.WriteWarning(Messages.Text("Warning.QueueFull", parts, PlainText.OneLine(reason.Error?.Message is { Length: > 0 } text ? text : reason.Message, LongestReason)));

    public override void OnAllFailed(int count, BatchResult first, bool isResumed)
    {
        ServiceError cause = first.Error!;
        string which = isResumed ? Messages.Text("Warning.AllFailedNow") : "";
        pump.WriteWarning(Messages.Text(
            "Warning.AllFailed", count, PlainText.OneLine(cause.CodeWithStatus(first.StatusCode), 80), PlainText.OneLine(cause.Message, LongestReason).TrimEnd('.'), which,
            maxFailed is null ? Messages.Text("Warning.AllFailedAdvice") : Messages.Text("Warning.AllFailedLimit", maxFailed)));
    }

    public override void OnStopped(long failed, long results, int batches) => pump.WriteWarning(Messages.Text("Warning.Stopped", failed, results, maxFailed, batches));

    public override void OnAttempt(int attempt, int requests)
    {
        Waiting.Clear();
        if (attempt > 1)
        {
            Waiting.Lead = Messages.Text("Progress.Round", attempt);
            pump.WriteVerbose(Messages.Text("Verbose.Round", attempt, requests));
        }
    }

    public void Dispose() => _progress.Dispose();

    private string ResumeAdvice(string batchId) => checkpoint is null
        ? Messages.Text("WaitTimeout.Results", BatchWait.ResumeLine([batchId])) : Messages.Text("WaitTimeout.Checkpoint", checkpoint);
}
