using System.CommandLine;
using System.Net;
using InferenceBatch.Server.Api;
using InferenceBatch.Server.Webhooks;
using InferenceBatch.Webhooks;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Cli;

/// <summary><c>inference-batch serve</c>: the service, until it is told to stop.</summary>
internal static class ServeCommand
{
    private const string StandardUrl = "http://127.0.0.1:8421";

    private static readonly TimeSpan s_longest = TimeSpan.FromDays(30);

    public static Command Create()
    {
        var command = new Command("serve", "Serves the Batch API over files and batches of its own, until SIGTERM or Ctrl+C.");
        var options = new Settings(command);
        options.Add("urls", "URL", "Where to listen; port 0 takes a free one. Any address but loopback needs --api-key-env.", StandardUrl);
        options.Add("data", "DIR", "The folder everything is kept in.", DataPath.Standard);
        EngineOptions.Add(options);
        options.Add("api-key-env", "NAME", "The environment variable that holds the key callers must send, or several with commas.");
        options.Add("completion-window", "TIME", "How long the API's \"24h\" lasts.", "24h");
        options.Add("cancel-grace", "TIME", "How long lines in flight may go on after a cancel.", "10s");
        options.Add("max-requests", "N", "Requests in one input file, at most.", "50000");
        options.Add("webhook-secret-env", "NAME", "The environment variable that holds the secret webhooks are signed with (whsec_…), or several with commas.");
        options.AddFlag("allow-insecure-webhooks", "Lets webhooks go to http addresses, this machine and private networks.");
        LogOptions.Add(options);
        var detached = new Option<bool>("--detached") { Hidden = true };
        command.Add(detached);
        var noSync = new Option<bool>("--no-sync") { Hidden = true }; // For bench/: what would it be without fsync?
        command.Add(noSync);
        command.SetAction(async (given, cancellationToken) =>
        {
            options.Use(given);
            ServiceSettings settings = Read(options) with { IsDurable = !given.GetValue(noSync) };
            Action<ILoggingBuilder> logging = LogOptions.Read(options);
            return options.Problems.Count > 0 ? Output.Problems(options.Problems) : await ServeAsync(settings, logging, given.GetValue(detached), cancellationToken);
        });
        return command;
    }

    private static ServiceSettings Read(Settings options)
    {
        string? data = options.Text("data") ?? DataPath.Standard;
        if (data is null)
        {
            options.Refuse("--data: this user has no home folder to keep the data in; name a folder.");
        }

        var settings = new ServiceSettings
        {
            Addresses = options.Value("urls", ListenAddress.Read(StandardUrl), ListenAddress.Read),
            DataPath = data ?? "",
            Upstream = EngineOptions.ReadUpstream(options),
            UpstreamKey = options.Secret("upstream-key-env"),
            ApiKeys = options.Secrets("api-key-env"),
            Webhooks = ReadWebhooks(options),
        };
        settings = settings with
        {
            Engine = EngineOptions.Read(options) with
            {
                CompletionWindow = options.Time("completion-window", settings.Engine.CompletionWindow, TimeSpan.FromMilliseconds(1), s_longest),
                CancelGrace = options.Time("cancel-grace", settings.Engine.CancelGrace, TimeSpan.Zero, s_longest),
                MaxRequests = options.Number("max-requests", settings.Engine.MaxRequests, 1, 10_000_000),
            },
        };
        if (settings.ApiKeys.Count == 0 && options.Problems.Count == 0 && settings.Addresses.Any(address => !IPAddress.IsLoopback(address.Address)))
        {
            options.Refuse("--urls: an address that is not loopback needs an API key (--api-key-env): anybody could spend your tokens.");
        }

        return settings;
    }

    private static WebhookSettings ReadWebhooks(Settings options)
    {
        var webhooks = new WebhookSettings { Secrets = options.Secrets("webhook-secret-env"), AllowInsecure = options.Flag("allow-insecure-webhooks") };
        try
        {
            // Without the prefix receivers disagree about the key: OpenAI's npm client takes its characters, others base64.
            _ = webhooks.Secrets.Select(secret => secret.StartsWith("whsec_", StringComparison.Ordinal) ? new WebhookSignature(secret) : throw new ArgumentException(null)).ToList();
        }
        catch (ArgumentException)
        {
            options.Refuse("--webhook-secret-env: the variable holds no secret of Standard Webhooks: whsec_ and a key in base64.");
        }

        return webhooks;
    }

    private static async Task<int> ServeAsync(ServiceSettings settings, Action<ILoggingBuilder> logging, bool isDetached, CancellationToken cancellationToken)
    {
        Detachment? detachment = null;
        using var signals = new StopSignals(cancellationToken, withInterrupt: !isDetached);
        ServiceHost host;
        try
        {
            detachment = isDetached ? new Detachment(settings.DataPath) : null;
            host = await ServiceHost.StartAsync(settings, TimeProvider.System, logging, signals.Stop);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SqliteException or InvalidDataException)
        {
            detachment?.Undo();
            return Output.Problems([exception.Message]);
        }

        using (detachment)
        await using (host)
        {
            foreach (Uri address in host.Addresses)
            {
                Console.Out.WriteLine($"listening on {address.GetLeftPart(UriPartial.Authority)}");
            }

            await Console.Out.FlushAsync(CancellationToken.None);
            if (isDetached)
            {
                Detachment.Complete();
            }

            await signals.WaitAsync();
        }

        return ExitCodes.Success;
    }
}
