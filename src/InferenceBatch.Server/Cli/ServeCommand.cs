using System.CommandLine;
using System.Globalization;
using System.Net;
using InferenceBatch.Server.Api;
using InferenceBatch.Server.Webhooks;
using InferenceBatch.Webhooks;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Cli;

/// <summary><c>inference-batch serve</c>: runs the service until it is stopped.</summary>
internal static class ServeCommand
{
    private const int MaxRequestLimit = 10_000_000;

    private static readonly ServiceSettings s_defaults = new() { DataPath = DataPath.Default ?? "" };
    private static readonly TimeSpan s_maxTime = TimeSpan.FromDays(30);

    public static Command Create()
    {
        var command = new Command("serve", "Runs the local batch service until SIGTERM or Ctrl+C.");
        var options = new Settings(command);
        options.Add("urls", "URL", "The addresses to listen on, separated by semicolons. Port 0 selects a free port. An address that is not loopback requires --api-key-env.", string.Join(';', s_defaults.Addresses.Select(address => $"http://{address}")));
        options.Add("data", "DIR", "The data folder.", DataPath.Default);
        EngineOptions.Add(options);
        options.Add("api-key-env", "NAME", "The environment variable that contains the API key that callers must send, or several keys separated by commas.");
        options.Add("completion-window", "TIME", "How long the API's completion window 24h lasts on this service.", Duration.Format(s_defaults.Engine.CompletionWindow));
        options.Add("cancel-grace", "TIME", "How long a cancelled batch waits for its lines in flight.", Duration.Format(s_defaults.Engine.CancelGrace));
        options.Add("max-requests", "N", "The maximum number of requests in one input file.", s_defaults.Engine.MaxRequests.ToString(CultureInfo.InvariantCulture));
        options.Add("webhook-secret-env", "NAME", "The environment variable that contains the secret for signing webhooks (whsec_…), or several secrets separated by commas.");
        options.AddFlag("allow-insecure-webhooks", "Allows webhooks to http addresses, this machine and private networks.");
        LogOptions.Add(options);
        var detached = new Option<bool>("--detached") { Hidden = true };
        command.Add(detached);
        var noSync = new Option<bool>("--no-sync") { Hidden = true }; // For bench/, which measures the cost of fsync.
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
        string? data = options.Text("data") ?? DataPath.Default;
        if (data is null)
        {
            options.Refuse("--data: this user has no home folder for the default. Specify a data folder.");
        }

        ServiceSettings settings = s_defaults with
        {
            Addresses = options.Value("urls", s_defaults.Addresses, ListenAddress.Read),
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
                CompletionWindow = options.Time("completion-window", settings.Engine.CompletionWindow, TimeSpan.FromMilliseconds(1), s_maxTime),
                CancelGrace = options.Time("cancel-grace", settings.Engine.CancelGrace, TimeSpan.Zero, s_maxTime),
                MaxRequests = options.Number("max-requests", settings.Engine.MaxRequests, 1, MaxRequestLimit),
            },
        };
        if (settings.ApiKeys.Count == 0 && options.Problems.Count == 0 && settings.Addresses.Any(address => !IPAddress.IsLoopback(address.Address)))
        {
            options.Refuse("--urls: an address that is not loopback requires an API key, because other machines could use your upstream. Use --api-key-env.");
        }

        return settings;
    }

    private static WebhookSettings ReadWebhooks(Settings options)
    {
        var webhooks = new WebhookSettings { Secrets = options.Secrets("webhook-secret-env"), AllowInsecure = options.Flag("allow-insecure-webhooks") };
        try
        {
            // Without the prefix, receivers read the key differently: OpenAI's npm client as characters, others as base64.
            _ = webhooks.Secrets.Select(secret => secret.StartsWith("whsec_", StringComparison.Ordinal) ? new WebhookSignature(secret) : throw new ArgumentException(null)).ToList();
        }
        catch (ArgumentException)
        {
            options.Refuse("--webhook-secret-env: the variable does not contain a Standard Webhooks secret. Expected whsec_ and a key in base64.");
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
