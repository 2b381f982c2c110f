using System.Management.Automation;
using System.Runtime.CompilerServices;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;
using InferenceBatch.Waiting;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Waits for batches and reports to the user: progress, an error for each batch that has not ended when the wait is over, and after Ctrl+C
/// the command that resumes the wait.
/// </summary>
internal sealed class BatchWait(BatchCommand command, double? timeoutSeconds, double? pollingSeconds)
{
    private BatchWatcher? _watcher;

    public bool Any { get; init; }

    /// <summary>Where to listen for webhooks during the wait; null for nowhere.</summary>
    public Uri? WebhookPrefix { get; init; }

    public SecureString? WebhookSecret { get; init; }

    /// <summary>Waits, and returns each batch as it ends.</summary>
    /// <param name="batches">At least one; each with its connection.</param>
    /// <param name="pump">Receives progress, warnings and errors.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async IAsyncEnumerable<Batch> WaitAsync(
        IReadOnlyCollection<BatchInput> batches, PipelinePump pump, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var progress = new ProgressReporter(Messages.Text("Progress.Waiting"), pump.WriteProgress, atOnce: true);
        var shown = new WaitProgress(progress);
        int ended = 0;

        var connections = new Dictionary<string, ServiceConnection>();
        foreach (BatchInput batch in batches)
        {
            connections.TryAdd(batch.Id, batch.Connection!);
        }

        Dictionary<ServiceConnection, BatchClient> clients = connections.Values.Distinct()
            .ToDictionary(connection => connection, connection => new BatchClient(connection, warn: pump.WriteWarning));
        _watcher = new BatchWatcher(clients.Values.First())
        {
            ClientOf = id => clients[connections[id]],
            Any = Any,
            Timeout = TimeLimit.Of(timeoutSeconds),
            PollingInterval = TimeLimit.Of(pollingSeconds),
            OnPolled = shown.Show,
            OnStalled = (batch, unchanged) => pump.WriteWarning(WaitProgress.StallText(batch, unchanged)),
            OnHeld = (batch, reason) => pump.WriteWarning(WaitProgress.HeldText(batch, reason)),
            OnPollsFailing = trouble => pump.WriteWarning(WaitProgress.TroubleText(trouble)),
            OnGivenUp = (id, problem) => pump.WriteError(ErrorRecords.From(problem, id)),
        };
        foreach ((string _, Batch? known) in batches)
        {
            if (known is not null)
            {
                shown.Show(known);
            }
        }

        WebhookListener? listener = WebhookPrefix is null ? null : WebhookSource.Listen(WebhookPrefix, WebhookSecret, pump);
        Task listening = listener is null ? Task.CompletedTask : PollOnEventsAsync(listener, _watcher, pump);
        try
        {
            await foreach (Batch batch in _watcher.WatchAsync(batches.Select(batch => (batch.Id, batch.Known)), cancellationToken).ConfigureAwait(false))
            {
                ended++;
                yield return SessionMemory.Remember(batch, connections.GetValueOrDefault(batch.Id, batches.First().Connection!));
            }
        }
        finally
        {
            if (listener is not null)
            {
                await listener.DisposeAsync().ConfigureAwait(false);
                await listening.ConfigureAwait(false);
            }
        }

        if (!Any || ended == 0)
        {
            foreach (string id in _watcher.Waiting)
            {
                pump.WriteError(ErrorRecords.WaitTimeout(id, TimeLimit.Of(timeoutSeconds) ?? TimeSpan.Zero, shown.Last(id), _watcher.LastFailure, Messages.Text("WaitTimeout.Again", ResumeLine([id]))));
            }
        }
    }

    /// <summary>Runs a wait. If the user stops it, writes the command that resumes it.</summary>
    public void RunAndResume(Action wait)
    {
        try
        {
            wait();
        }
        catch (PipelineStoppedException) when (command.Stopping && _watcher?.Waiting.Count > 0)
        {
            // The streams of the cmdlet are closed by now; the host's are not.
            command.Host?.UI?.WriteWarningLine(Messages.Text("Warning.BatchesGoOn", ResumeLine(_watcher.Waiting)));
            throw;
        }
    }

    /// <summary>Returns the command that resumes the wait for the batches.</summary>
    public static string ResumeLine(IEnumerable<string> ids) => "Wait-Batch -Id " + string.Join(", ", ids.Select(id => $"'{id.Replace("'", "''", StringComparison.Ordinal)}'"));

    /// <summary>Polls the batch of each event at once, until the listener stops.</summary>
    private static async Task PollOnEventsAsync(WebhookListener listener, BatchWatcher watcher, PipelinePump pump)
    {
        try
        {
            await foreach (WebhookEvent received in listener.ReadAllAsync().ConfigureAwait(false))
            {
                pump.WriteVerbose(Messages.Text("Verbose.Webhook", received));
                watcher.PollNow(received.BatchId);
            }
        }
        catch (OperationCanceledException)
        {
            // The command is stopped.
        }
    }
}
