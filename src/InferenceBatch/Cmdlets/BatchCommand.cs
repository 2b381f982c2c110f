using System.Diagnostics.CodeAnalysis;
using System.Management.Automation;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// The base of every cmdlet here: it is stopped at once by Ctrl+C and by a downstream <c>Select-Object -First</c>, and
/// runs asynchronous work while the pipeline thread writes what the work posts.
/// </summary>
public abstract class BatchCommand : PSCmdlet, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private PathResolver? _paths;

    /// <summary>Cancelled when the pipeline stops.</summary>
    private protected CancellationToken StopToken => _stop.Token;

    private protected PathResolver Paths => _paths ??= new PathResolver(this);

    /// <summary>Closes what the command still holds; PowerShell calls it however the pipeline ended.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            _stop.Dispose();
        }
    }

    /// <summary>Called on another thread on Ctrl+C.</summary>
    protected override void StopProcessing()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The command had just ended by itself.
        }
    }

    /// <summary>
    /// Runs work on the thread pool, writing what it posts, and returns when it has ended. Whatever ends it early, the
    /// work is cancelled and awaited first, so that its connections are closed and its temporary files gone.
    /// </summary>
    /// <exception cref="PipelineStoppedException">The pipeline was stopped.</exception>
    /// <exception cref="Exception">What the work threw; see <see cref="RunOrThrow"/> and <see cref="TryRun"/>.</exception>
    private protected T Run<T>(Func<PipelinePump, CancellationToken, Task<T>> work)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        using var pump = new PipelinePump(cancel.Token);
        Task<T> task = Task.Run(() => RunAndComplete(work, pump, cancel.Token), CancellationToken.None);
        try
        {
            pump.Drain(this);
        }
        catch
        {
            // Thrown by a Write…: something downstream has enough, or an error action is Stop. Never to be wrapped.
            cancel.Cancel();
            Task.WhenAny(task).GetAwaiter().GetResult();
            _ = task.Exception; // Seen: what it says no longer matters.
            throw;
        }

        try
        {
            return task.GetAwaiter().GetResult();
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }
    }

    /// <inheritdoc cref="Run{T}"/>
    private protected void Run(Func<PipelinePump, CancellationToken, Task> work) =>
        Run(async (pump, cancellationToken) =>
        {
            await work(pump, cancellationToken).ConfigureAwait(false);
            return true;
        });

    /// <summary>As <see cref="Run{T}"/>; what the work throws ends the command.</summary>
    private protected T RunOrThrow<T>(Func<PipelinePump, CancellationToken, Task<T>> work, object? target)
    {
        try
        {
            return Run(work);
        }
        catch (Exception exception) when (!IsFlow(exception))
        {
            ThrowTerminatingError(ErrorRecords.From(exception, target));
            throw;
        }
    }

    /// <inheritdoc cref="RunOrThrow{T}"/>
    private protected void RunOrThrow(Func<PipelinePump, CancellationToken, Task> work, object? target)
    {
        try
        {
            Run(work);
        }
        catch (Exception exception) when (!IsFlow(exception))
        {
            ThrowTerminatingError(ErrorRecords.From(exception, target));
        }
    }

    /// <summary>
    /// As <see cref="Run{T}"/>; what the work throws is an error of this input object, and ends the command only where
    /// no other input could fare better. False after an error.
    /// </summary>
    private protected bool TryRun<T>(
        Func<PipelinePump, CancellationToken, Task<T>> work, object? target, [MaybeNullWhen(false)] out T result)
    {
        try
        {
            result = Run(work);
            return true;
        }
        catch (Exception exception) when (!IsFlow(exception))
        {
            Fail(ErrorRecords.From(exception, target));
            result = default;
            return false;
        }
    }

    /// <summary>Writes an error, terminating where no other input could fare better.</summary>
    private protected void Fail(ErrorRecord error)
    {
        if (ErrorRecords.EndsCommand(error))
        {
            ThrowTerminatingError(error);
        }

        WriteError(error);
    }

    /// <summary>
    /// Whether an exception belongs to PowerShell's own control flow (a stopped pipeline, an error action of Stop, an
    /// error already made terminating) and must pass as it is.
    /// </summary>
    private static bool IsFlow(Exception exception) =>
        exception is PipelineStoppedException or FlowControlException or ActionPreferenceStopException;

    private static async Task<T> RunAndComplete<T>(
        Func<PipelinePump, CancellationToken, Task<T>> work, PipelinePump pump, CancellationToken cancellationToken)
    {
        try
        {
            return await work(pump, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            pump.Complete();
        }
    }
}
