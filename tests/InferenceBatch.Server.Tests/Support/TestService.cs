using System.Net;
using InferenceBatch.Server.Api;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>The real service in this process, with real sockets and its own data folder.</summary>
internal sealed class TestService : IAsyncDisposable
{
    private readonly TempFolder? _ownFolder;
    private readonly ServiceHost _host;

    private TestService(ServiceHost host, string dataPath, TempFolder? ownFolder, LogRecorder log)
    {
        Log = log;
        DataPath = dataPath;
        _host = host;
        _ownFolder = ownFolder;
        Api = new ApiCaller(host.Addresses[0]);
    }

    public Uri Address => _host.Addresses[0];

    public string DataPath { get; }

    /// <summary>The log entries so far.</summary>
    public LogRecorder Log { get; }

    /// <summary>All routes of the service.</summary>
    public IEnumerable<RouteEndpoint> Routes => _host.Routes;

    /// <summary>Calls the service without a key.</summary>
    public ApiCaller Api { get; }

    /// <summary>Starts the service, with the echo model unless <paramref name="configure"/> changes it.</summary>
    public static async Task<TestService> StartAsync(
        Func<ServiceSettings, ServiceSettings>? configure = null, TimeProvider? time = null, TempFolder? folder = null)
    {
        TempFolder? own = folder is null ? new TempFolder() : null;
        var settings = new ServiceSettings
        {
            Addresses = [new IPEndPoint(IPAddress.Loopback, 0)],
            DataPath = (folder ?? own)!.Path,
        };
        settings = configure?.Invoke(settings) ?? settings;
        var log = new LogRecorder();
        ServiceHost host = await ServiceHost.StartAsync(
            settings, time ?? TimeProvider.System, logging => logging.AddProvider(log), CancellationToken.None);
        return new TestService(host, settings.DataPath, own, log);
    }

    public async ValueTask DisposeAsync()
    {
        Api.Dispose();
        await _host.DisposeAsync();
        _ownFolder?.Dispose();
    }
}
