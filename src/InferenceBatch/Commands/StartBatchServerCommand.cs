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

/// <summary>Start-BatchServer: starts the local batch service and makes it the default connection of the session.</summary>
/// <remarks>
/// The service has the defaults of its options: an option is passed only if its parameter is given. PSDefaultValue states these defaults
/// for the help, and Help.Tests.ps1 compares the help with <c>inference-batch serve --help</c>.
/// </remarks>
[Cmdlet(VerbsLifecycle.Start, "BatchServer", SupportsShouldProcess = true)]
[OutputType(typeof(BatchServer))]
public sealed class StartBatchServerCommand : BatchCommand
{
    /// <summary>
    /// Where the service sends the lines: <c>echo</c> (answers with the prompt, at no cost), or the base address of an OpenAI-compatible
    /// service. Always passed to the service, so that an environment variable cannot turn the free default into an upstream that bills.
    /// </summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Upstream { get; set; } = "echo";

    /// <summary>The key of the upstream.</summary>
    [Parameter]
    [SecretTransformation]
    [ValidateNotNull]
    public SecureString? UpstreamApiKey { get; set; }

    /// <summary>The port to listen on. If not given, the last port of the data folder's service, else 8421, else any free port.</summary>
    [Parameter]
    [ValidateRange(1, 65535)]
    public int Port { get; set; }

    /// <summary>The folder for files and records, which is created if it does not exist. If not given, a folder in the user's state folder.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? DataPath { get; set; }

    /// <summary>The key that callers must send. The session uses it. Null for no key.</summary>
    [Parameter]
    [SecretTransformation]
    [ValidateNotNull]
    public SecureString? ApiKey { get; set; }

    /// <summary>The maximum number of requests in flight. If not given, the service finds it.</summary>
    [Parameter]
    [ValidateRange(1, 10_000)]
    public int Concurrency { get; set; }

    /// <summary>How often a request is sent at most.</summary>
    [Parameter]
    [ValidateRange(1, 100)]
    [PSDefaultValue(Value = 5)]
    public int MaxAttempts { get; set; }

    /// <summary>The timeout of one attempt in seconds, up to 2592000 (30 days).</summary>
    [Parameter]
    [Alias("RequestTimeoutSec")]
    [SecondsTransformation]
    [ValidateRange(0.0, 2592000.0)]
    [PSDefaultValue(Value = 600)]
    public double RequestTimeout { get; set; }

    /// <summary>How long the "24h" of the API lasts, such as 30m or 7d.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [PSDefaultValue(Value = "24h")]
    public string? CompletionWindow { get; set; }

    /// <summary>The secret for signing webhooks: whsec_ and a key in base64. Null for no signature.</summary>
    [Parameter]
    [SecretTransformation]
    [ValidateNotNull]
    public SecureString? WebhookSecret { get; set; }

    /// <summary>Allows webhooks to http addresses, this machine and private networks.</summary>
    [Parameter]
    public SwitchParameter AllowInsecureWebhooks { get; set; }

    /// <summary>Additional options for <c>inference-batch serve</c>.</summary>
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

        if (ServerRegistry.List().FirstOrDefault(server => SamePath(server.DataPath, dataPath)) is { } running)
        {
            // The next commands of a script are meant for this service. They must not reach a service that bills.
            SessionMemory.Default = running.Connect(ApiKey);
            WriteError(ErrorRecords.Of("ServerAlreadyRunning", running, dataPath, running.Uri, running.ProcessId));
            WriteObject(running);
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
        foreach (string issue in RunOrThrow((_, token) => ServerHealth.FindIssuesAsync(server, token), dataPath))
        {
            WriteWarning(Messages.Text("Warning.ServerTrouble", server.Upstream, ServerOptionNames.ToParameters(issue)));
        }
    }

    /// <summary>Starts the service and records it. If the record cannot be written, stops the service, because no shell could find it to stop it.</summary>
    private static async Task<BatchServer> StartAsync(ServerOptions options, bool isPortGiven, CancellationToken cancellationToken)
    {
        BatchServer server;
        try
        {
            server = await ServerProcess.StartAsync(options, cancellationToken).ConfigureAwait(false);
        }
        catch (ServerStartException) when (!isPortGiven && options.Port > 0 && !ServerRegistry.IsFree(options.Port))
        {
            // Another program has taken the port since the check.
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
