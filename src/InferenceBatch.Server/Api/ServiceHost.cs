using System.Diagnostics;
using System.Net;
using InferenceBatch.Server.Execution;
using InferenceBatch.Server.Execution.Upstreams;
using InferenceBatch.Server.Storage;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace InferenceBatch.Server.Api;

/// <summary>The whole service, running: the API over the engine over the data folder.</summary>
internal sealed class ServiceHost : IAsyncDisposable
{
    private static readonly TimeSpan s_longestStop = TimeSpan.FromSeconds(5);

    private readonly WebApplication _app;
    private readonly BatchEngine _engine;
    private readonly Scheduler _scheduler;
    private readonly IDisposable _refusals;

    private ServiceHost(WebApplication app, BatchEngine engine, Scheduler scheduler)
    {
        _app = app;
        _engine = engine;
        _scheduler = scheduler;
        _refusals = RefusedConnections.Watch(app.Services.GetRequiredService<DiagnosticListener>());
    }

    /// <summary>Where it listens, with the ports it was given.</summary>
    public IReadOnlyList<Uri> Addresses { get; private set; } = [];

    /// <summary>Every route it serves.</summary>
    public IEnumerable<RouteEndpoint> Routes => ((IEndpointRouteBuilder)_app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>();

    /// <summary>Starts the service; it answers when this returns.</summary>
    /// <exception cref="IOException">The data folder is in use or cannot be written, or an address is in use.</exception>
    public static async Task<ServiceHost> StartAsync(
        ServiceSettings settings, TimeProvider time, Action<ILoggingBuilder> configureLogging, CancellationToken cancellationToken)
    {
        DataFolder folder = DataFolder.Open(settings.DataPath);
        WebApplication app;
        BatchEngine engine;
        try
        {
            app = Build(settings, configureLogging);
            IUpstream upstream = UpstreamAddress.Create(settings.Upstream, settings.UpstreamKey, time);
            engine = new BatchEngine(folder, upstream, settings.Engine, time, app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("inference-batch"));
        }
        catch
        {
            folder.Dispose();
            throw;
        }

        var scheduler = new Scheduler(engine);
        var host = new ServiceHost(app, engine, scheduler);
        try
        {
            host.Map(new ApiKeys(settings.ApiKeys));
            await app.StartAsync(cancellationToken);
            scheduler.Start();
            host.Addresses = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(text => new Uri(text))];
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes no more requests, lets lines in flight end for a few seconds, and closes everything.</summary>
    public async ValueTask DisposeAsync()
    {
        using var longest = new CancellationTokenSource(s_longestStop);
        await Task.WhenAll(_scheduler.StopAsync(), _app.StopAsync(longest.Token));
        await _app.DisposeAsync();
        _refusals.Dispose();
        await _scheduler.DisposeAsync();
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
            // Larger than what ApiPipeline lets through, which answers in JSON where Kestrel would answer with nothing.
            kestrel.Limits.MaxRequestHeadersTotalSize = 256 * 1024;
            kestrel.Limits.MaxRequestLineSize = 128 * 1024;
            kestrel.Limits.MaxRequestHeaderCount = 1000;
            // Each route bounds its own body.
            kestrel.Limits.MaxRequestBodySize = null;
            ConnectionLimits limits = settings.Connections;
            kestrel.Limits.MaxConcurrentConnections = limits.MaxConnections;
            kestrel.Limits.RequestHeadersTimeout = limits.HeadTimeout;
            kestrel.Limits.KeepAliveTimeout = limits.IdleTimeout;
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(limits.MinBytesPerSecond, limits.SlowGrace);
            kestrel.Limits.MinResponseDataRate = new MinDataRate(limits.MinBytesPerSecond, limits.SlowGrace);
            foreach (IPEndPoint address in settings.Addresses)
            {
                kestrel.Listen(address, listen =>
                {
                    listen.Protocols = HttpProtocols.Http1;
                    listen.Use(RefusedConnections.Prepare);
                });
            }
        });
        return builder.Build();
    }

    private void Map(ApiKeys keys)
    {
        var pipeline = new ApiPipeline(keys, _engine.Logger);
        _app.Use(next => context => pipeline.InvokeAsync(context, next));
        _app.UseRouting();
        new FileRoutes(_engine, _scheduler).Map(_app);
        new BatchRoutes(_engine, _scheduler).Map(_app);
        new ServiceRoutes(_engine, _scheduler).Map(_app);
        _app.UseEndpoints(_ => { });
    }
}
