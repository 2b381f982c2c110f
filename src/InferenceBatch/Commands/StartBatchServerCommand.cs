using System.Management.Automation;
using System.Net;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Pipeline;

namespace InferenceBatch.Commands;

/// <summary>Start-BatchServer: starts the local batch service, which becomes the session's default connection.</summary>
[Cmdlet(VerbsLifecycle.Start, "BatchServer", SupportsShouldProcess = true)]
[OutputType(typeof(BatchServer))]
public sealed class StartBatchServerCommand : BatchCommand
{
    /// <summary>Where the lines are sent: <c>echo</c> (answers with the prompt, at no cost), or the base address of an OpenAI-compatible service.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Upstream { get; set; } = "echo";

    /// <summary>The upstream's key.</summary>
    [Parameter]
    [SecretTransformation]
    [ValidateNotNull]
    public SecureString? UpstreamApiKey { get; set; }

    /// <summary>The port to listen on; a free one when not given.</summary>
    [Parameter]
    [ValidateRange(1, 65535)]
    public int Port { get; set; }

    /// <summary>The folder for files and records; made when it does not exist. One of the user's own when not given.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? DataPath { get; set; }

    protected override void EndProcessing()
    {
        string? dataPath = DataPath is null ? ServerRegistry.DefaultDataPath : Paths.Output(DataPath);
        if (dataPath is null || !ShouldProcess(dataPath, "Start the local batch service"))
        {
            return;
        }

        if (ServerRegistry.List().FirstOrDefault(server => SamePath(server.DataPath, dataPath)) is { } first)
        {
            // What follows in a script or a paste is meant for this service, and must not reach one that bills.
            Session.Default = first.Connect();
            ThrowTerminatingError(ErrorRecords.Of("ServerAlreadyRunning", first, dataPath, first.Uri, first.ProcessId));
        }

        string? key = UpstreamApiKey is null ? null : new NetworkCredential("", UpstreamApiKey).Password;
        BatchServer server = RunOrThrow((_, token) => ServerProcess.StartAsync(dataPath, Port > 0 ? Port : ServerRegistry.LastPort(dataPath), Upstream, key, token), dataPath);
        ServerRegistry.Add(server);
        Session.Default = server.Connect();
        WriteObject(server);
    }

    private static bool SamePath(string one, string other) => PathResolver.Comparer.Equals(
        Path.TrimEndingDirectorySeparator(Path.GetFullPath(one)), Path.TrimEndingDirectorySeparator(Path.GetFullPath(other)));
}
