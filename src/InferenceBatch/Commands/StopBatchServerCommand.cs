using System.Diagnostics;
using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.LocalServer;
using InferenceBatch.Model;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>
/// Stop-BatchServer: ends local services. Their batches are kept, and go on at the next start on the same data folder. A
/// session that used one goes on meaning it: nothing turns to a service that bills because a local one has ended.
/// </summary>
[Cmdlet(VerbsLifecycle.Stop, "BatchServer", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class StopBatchServerCommand : BatchCommand
{
    /// <summary>The services; when not given the one the session uses, else the only one there is.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [ValidateNotNull]
    public BatchServer[]? Server { get; set; }

    protected override void ProcessRecord()
    {
        foreach (BatchServer server in Server ?? Chosen())
        {
            if (ShouldProcess(Messages.Text("Target.Server", server.Uri, server.ProcessId), Messages.Text("Action.StopServer")))
            {
                Stop(server);
            }
        }
    }

    private BatchServer[] Chosen()
    {
        if (MyInvocation.ExpectingInput)
        {
            return [];
        }

        IReadOnlyList<BatchServer> running = ServerRegistry.List();
        if (running.FirstOrDefault(server => server.Uri == SessionMemory.Default?.BaseUri) is { } mine)
        {
            return [mine];
        }

        if (running.Count == 1)
        {
            return [running[0]];
        }

        WriteError(running.Count == 0 ? ErrorRecords.Of("ServerNotFound", null) : ErrorRecords.Of("ServerNotFound.Several", null, running.Count));
        return [];
    }

    private void Stop(BatchServer server)
    {
        using Process? process = ServerRegistry.FindProcess(server);
        if (process is not null)
        {
            RunOrThrow(
                async (_, token) =>
                {
                    await ServerProcess.StopAsync(process, token).ConfigureAwait(false);
                    return true;
                },
                server);
        }

        ServerRegistry.Remove(server);
    }
}
