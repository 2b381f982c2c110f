using System.Diagnostics;
using System.Net;
using InferenceBatch.Model;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Page;
using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Webhooks;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace InferenceBatch.Server.Api;

/// <summary>The running service: API, engine and data folder.</summary>
internal sealed class ServiceHost : IAsyncDisposable
{
    private static readonly TimeSpan s_maxStopTime = TimeSpan.FromSeconds(5);

    private readonly WebApplication _app;
    private readonly EngineServices _engine;
    private readonly Scheduler _scheduler;
    private readonly WebhookTargets _webhookTargets;
    private readonly WebhookDeliveries _webhooks;
    private readonly IDisposable _badRequests;

    private ServiceHost(WebApplication app, EngineServices engine, Scheduler scheduler, WebhookSettings webhooks)
    {
        _app = app;
        _engine = engine;
        _scheduler = scheduler;
        _webhookTargets = new WebhookTargets(webhooks.AllowInsecure);
        _webhooks = new WebhookDeliveries(
            engine.Database, new WebhookSender(webhooks, _webhookTargets, engine.Time), engine.Time, engine.Settings.StopGrace, engine.Logger);
        _badRequests = BadRequestRewriter.Watch(app.Services.GetRequiredService<DiagnosticListener>());
    }

    /// <summary>The addresses that the service listens on, with their actual ports.</summary>
    public IReadOnlyList<Uri> Addresses { get; private set; } = [];

    /// <summary>All routes of the service.</summary>
    public IEnumerable<RouteEndpoint> Routes => ((IEndpointRouteBuilder)_app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>();

    /// <summary>Starts the service and returns when it accepts requests.</summary>
    /// <exception cref="IOException">The data folder is in use or not writable, or an address is in use.</exception>
    /// <exception cref="InvalidDataException">The database is damaged or too new, or the echo model would answer lines of a model server.</exception>
    public static async Task<ServiceHost> StartAsync(
        ServiceSettings settings, TimeProvider time, Action<ILoggingBuilder> configureLogging, CancellationToken cancellationToken)
    {
        DataFolder folder = DataFolder.Open(settings.DataPath, settings.IsDurable);
        WebApplication app;
        EngineServices engine;
        try
        {
            app = Build(settings, configureLogging);
            ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("inference-batch");
            IUpstream upstream = UpstreamAddress.Create(settings.Upstream, settings.UpstreamKey, time);
            engine = new EngineServices(folder, new UpstreamControl(upstream, settings.Engine, time, logger), settings.Engine, time, logger);
        }
        catch
        {
            folder.Dispose();
            throw;
        }

        HostLog.Starting(engine.Logger, typeof(ServiceHost).Assembly.GetName().Version?.ToString(3), Environment.ProcessId);
        var scheduler = new Scheduler(engine);
        var host = new ServiceHost(app, engine, scheduler, settings.Webhooks);
        try
        {
            CheckUpstream(engine, UpstreamAddress.NameOf(settings.Upstream));
            host.Map(new ApiKeys(settings.ApiKeys), new HealthCheck(folder, scheduler, engine.Upstream, engine.HealthIssues, time));
            await app.StartAsync(cancellationToken);
            scheduler.Start();
            host._webhooks.Start();
            host.Addresses = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(text => new Uri(text))];
            foreach (Uri address in host.Addresses)
            {
                HostLog.Listening(engine.Logger, address);
            }

            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Refuses a start in which the echo model would complete the batches of a model server, because echoed prompts would look like answers.</summary>
    private static void CheckUpstream(EngineServices engine, string upstream)
    {
        string? before = UpstreamTable.Read(engine.Database);
        int unfinished = before is null || before == upstream ? 0 : engine.Database.Batches.Unfinished().Count;
        if (unfinished > 0 && upstream == UpstreamAddress.Echo)
        {
            throw new InvalidDataException(PluralFormat.Invariant(
                $"The data folder has {unfinished:N0} unfinished {unfinished:batch|batches} of the upstream {before}, and the echo model would answer the remaining lines. Start the service with --upstream {before} (Start-BatchServer -Upstream {before}). If you do not need the batches, cancel them afterwards."));
        }

        if (unfinished > 0)
        {
            HostLog.OtherUpstream(engine.Logger, before!, unfinished, upstream);
        }

        if (before != upstream)
        {
            UpstreamTable.Write(engine.Database, upstream);
        }
    }

    /// <summary>Stops accepting requests, gives lines in flight a few seconds to finish, and closes everything.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Addresses.Count > 0)
        {
            HostLog.Stopping(_engine.Logger);
        }

        using var timeout = new CancellationTokenSource(s_maxStopTime);
        await Task.WhenAll(_scheduler.StopAsync(), _app.StopAsync(timeout.Token));
        await _app.DisposeAsync();
        _badRequests.Dispose();
        await _scheduler.DisposeAsync();
        await _webhooks.DisposeAsync();
        _engine.Dispose();
    }

    private static WebApplication Build(ServiceSettings settings, Action<ILoggingBuilder> configureLogging)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        configureLogging(builder.Logging);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // Larger than the limits of ApiPipeline, which answers with JSON, whereas Kestrel would answer with an empty body.
            kestrel.Limits.MaxRequestHeadersTotalSize = 256 * 1024;
            kestrel.Limits.MaxRequestLineSize = 128 * 1024;
            kestrel.Limits.MaxRequestHeaderCount = 1000;
            // Each route limits its own body.
            kestrel.Limits.MaxRequestBodySize = null;
            ConnectionLimits limits = settings.Connections;
            kestrel.Limits.MaxConcurrentConnections = limits.MaxConnections;
            kestrel.Limits.RequestHeadersTimeout = limits.HeadTimeout;
            kestrel.Limits.KeepAliveTimeout = limits.IdleTimeout;
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(limits.MinBytesPerSecond, limits.SlowGrace);
            kestrel.Limits.MinResponseDataRate = new MinDataRate(limits.MinReadBytesPerSecond, limits.SlowGrace);
            foreach (IPEndPoint address in settings.Addresses)
            {
                kestrel.Listen(address, listen =>
                {
                    listen.Protocols = HttpProtocols.Http1;
                    listen.Use(BadRequestRewriter.Prepare);
                });
            }
        });
        return builder.Build();
    }

    private void Map(ApiKeys keys, HealthCheck health)
    {
        var pipeline = new ApiPipeline(keys, _engine.Database.Instance, _engine.Logger);
        _app.Use(next => context => pipeline.InvokeAsync(context, next));
        _app.UseRouting();
        new FileRoutes(_engine, _scheduler).Map(_app);
        new BatchRoutes(_engine, _scheduler, _webhookTargets).Map(_app);
        PageRoutes.Map(_app);
        new StatisticsRoutes(_scheduler).Map(_app);
        new ServiceRoutes(_engine, health).Map(_app);
        _app.UseEndpoints(_ => { });
    }
}
