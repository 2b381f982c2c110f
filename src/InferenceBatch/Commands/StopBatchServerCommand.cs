using System.Diagnostics;
using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.LocalServer;
using InferenceBatch.Model;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>
/// Stop-BatchServer: stops local services. Their batches resume at the next start with the same data folder. A session that used a service
/// keeps it as its default, so that calls do not go to a service that bills instead.
/// </summary>
[Cmdlet(VerbsLifecycle.Stop, "BatchServer", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class StopBatchServerCommand : BatchCommand
{
    /// <summary>The services. If not given, the session's service, else the only running one.</summary>
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
