using System.Diagnostics;
using System.Globalization;
using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Lines;
using InferenceBatch.LocalServer;
using InferenceBatch.Model;
using InferenceBatch.Session;

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

    /// <summary>The port to listen on; when not given the one that the data folder's service had last, else 8421, else any that is free.</summary>
    [Parameter]
    [ValidateRange(1, 65535)]
    public int Port { get; set; }

    /// <summary>The folder for files and records; made when it does not exist. One of the user's own when not given.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? DataPath { get; set; }

    /// <summary>The key that callers must send; the session's calls do. None when not given.</summary>
    [Parameter]
    [SecretTransformation]
    [ValidateNotNull]
    public SecureString? ApiKey { get; set; }

    /// <summary>Requests in flight at once, at most; found out when not given.</summary>
    [Parameter]
    [ValidateRange(1, 10_000)]
    public int Concurrency { get; set; }

    /// <summary>How often a request is sent, at most; 5 when not given.</summary>
    [Parameter]
    [ValidateRange(1, 100)]
    [PSDefaultValue(Value = 5)]
    public int MaxAttempts { get; set; }

    /// <summary>How many seconds one attempt may take, up to 2592000 (30 days); 600 when not given.</summary>
    [Parameter]
    [Alias("RequestTimeoutSec")]
    [SecondsTransformation]
    [ValidateRange(0.0, 2592000.0)]
    [PSDefaultValue(Value = 600)]
    public double RequestTimeout { get; set; }

    /// <summary>How long the API's "24h" lasts, such as 30m or 7d.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [PSDefaultValue(Value = "24h")]
    public string? CompletionWindow { get; set; }

    /// <summary>The secret that webhooks are signed with: whsec_ and a key in base64. Unsigned when not given.</summary>
    [Parameter]
    [SecretTransformation]
    [ValidateNotNull]
    public SecureString? WebhookSecret { get; set; }

    /// <summary>Lets webhooks go to http addresses, this machine and private networks.</summary>
    [Parameter]
    public SwitchParameter AllowInsecureWebhooks { get; set; }

    /// <summary>Further options of <c>inference-batch serve</c>.</summary>
    [Parameter]
    [ValidateNotNull]
    public string[] ArgumentList { get; set; } = [];

    protected override void EndProcessing()
    {
        string? dataPath = DataPath is null ? ServerRegistry.DefaultDataPath : Paths.Output(DataPath);
        if (dataPath is null || !ShouldProcess(dataPath, Messages.Text("Action.StartServer")))
        {
            return;
        }

        if (ServerRegistry.List().FirstOrDefault(server => SamePath(server.DataPath, dataPath)) is { } first)
        {
            // What follows in a script or a paste is meant for this service, and must not reach one that bills.
            SessionMemory.Default = first.Connect(ApiKey);
            WriteError(ErrorRecords.Of("ServerAlreadyRunning", first, dataPath, first.Uri, first.ProcessId));
            WriteObject(first);
            return;
        }

        var options = new ServerOptions
        {
            DataPath = dataPath,
            Port = Port > 0 ? Port : ServerRegistry.PortFor(dataPath),
            Upstream = Upstream,
            Arguments = [.. Arguments()],
            Secrets = new Dictionary<string, string?>
            {
                ["upstream-key-env"] = SecretText.Of(UpstreamApiKey),
                ["api-key-env"] = SecretText.Of(ApiKey),
                ["webhook-secret-env"] = SecretText.Of(WebhookSecret),
            },
        };
        BatchServer server = RunOrThrow((_, token) => StartAsync(options, Port > 0, token), dataPath);
        SessionMemory.Default = server.Connect(ApiKey);
        WriteObject(server);
        foreach (string trouble in RunOrThrow((_, token) => ServerHealth.TroublesAsync(server, token), dataPath))
        {
            WriteWarning(Messages.Text("Warning.ServerTrouble", server.Upstream, ServerOptionNames.ToParameters(trouble)));
        }
    }

    /// <summary>Starts the service. One that cannot be recorded is stopped again, for no shell could find it to stop it.</summary>
    private static async Task<BatchServer> StartAsync(ServerOptions options, bool isPortGiven, CancellationToken cancellationToken)
    {
        BatchServer server;
        try
        {
            server = await ServerProcess.StartAsync(options, cancellationToken).ConfigureAwait(false);
        }
        catch (ServerStartException) when (!isPortGiven && options.Port > 0 && !ServerRegistry.IsFree(options.Port))
        {
            // Another program has taken the port since it was found free.
            server = await ServerProcess.StartAsync(options with { Port = 0 }, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            ServerRegistry.Add(server);
            return server;
        }
        catch (FileUnwritableException)
        {
            using Process? process = ServerRegistry.FindProcess(server);
            if (process is not null)
            {
                await ServerProcess.StopAsync(process, cancellationToken).ConfigureAwait(false);
            }

            throw;
        }
    }

    private IEnumerable<string> Arguments() =>
    [
        .. Concurrency > 0 ? ["--concurrency", Text(Concurrency)] : Array.Empty<string>(),
        .. MaxAttempts > 0 ? ["--max-attempts", Text(MaxAttempts)] : Array.Empty<string>(),
        .. MyInvocation.BoundParameters.ContainsKey(nameof(RequestTimeout)) ? ["--request-timeout", Text(RequestTimeout)] : Array.Empty<string>(),
        .. CompletionWindow is not null ? ["--completion-window", CompletionWindow] : Array.Empty<string>(),
        .. AllowInsecureWebhooks ? ["--allow-insecure-webhooks"] : Array.Empty<string>(),
        .. ArgumentList,
    ];

    private static string Text(double number) => number.ToString("0.###", CultureInfo.InvariantCulture);

    private static bool SamePath(string one, string other) => PathResolver.Comparer.Equals(
        Path.TrimEndingDirectorySeparator(Path.GetFullPath(one)), Path.TrimEndingDirectorySeparator(Path.GetFullPath(other)));
}
