using System.Diagnostics.CodeAnalysis;
using System.Management.Automation;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// The base of all cmdlets. Ctrl+C and a downstream <c>Select-Object -First</c> stop it at once. It runs asynchronous work on other
/// threads, while the pipeline thread writes the output of that work.
/// </summary>
public abstract class BatchCommand : PSCmdlet, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private PathResolver? _paths;

    /// <summary>Gets a token that is cancelled when the pipeline stops.</summary>
    private protected CancellationToken StopToken => _stop.Token;

    private protected PathResolver Paths => _paths ??= new PathResolver(this);

    /// <summary>Releases resources. PowerShell calls it however the pipeline ends.</summary>
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
            // The command has just ended.
        }
    }

    /// <summary>
    /// Runs work on the thread pool, writes its output, and returns when it has ended. If the command is stopped, or a write throws, the
    /// work is cancelled and awaited first, so that it closes its connections and deletes its temporary files.
    /// </summary>
    /// <exception cref="PipelineStoppedException">The pipeline was stopped.</exception>
    /// <exception cref="Exception">The work threw it; see <see cref="RunOrThrow"/> and <see cref="TryRun"/>.</exception>
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
            // Thrown by a Write method, because a downstream command stopped, or an error action is Stop. It must not be wrapped.
            cancel.Cancel();
            Task.WhenAny(task).GetAwaiter().GetResult();
            _ = task.Exception; // Observed; it no longer matters.
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

    /// <summary>Like <see cref="Run{T}"/>. An exception of the work ends the command.</summary>
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
    /// Like <see cref="Run{T}"/>. An exception of the work is an error for this input object. It ends the command only if all other input
    /// would fail too.
    /// Returns false after an error.
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

    /// <summary>Writes an error. It is terminating if all other input would fail too.</summary>
    private protected void Fail(ErrorRecord error)
    {
        if (ErrorRecords.EndsCommand(error))
        {
            ThrowTerminatingError(error);
        }

        WriteError(error);
    }

    /// <summary>
    /// Whether an exception is part of PowerShell's control flow (a stopped pipeline, an error action of Stop, a terminating error) and
    /// must not be wrapped.
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
