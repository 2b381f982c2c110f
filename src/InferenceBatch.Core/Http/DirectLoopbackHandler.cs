namespace InferenceBatch.Http;

/// <summary>
/// Sends requests to this machine (<see cref="Loopback"/>) directly. All others use the proxy of <c>HTTP_PROXY</c>,
/// <c>HTTPS_PROXY</c> or <c>ALL_PROXY</c>, unless <c>NO_PROXY</c> excludes them, or the proxy of the system settings. .NET alone
/// would send requests for loopback addresses to the proxy of these variables. This handler does not follow redirects, so that
/// the decision is made for each address.
/// </summary>
public sealed class DirectLoopbackHandler : HttpMessageHandler
{
    private readonly HttpMessageInvoker _direct;
    private readonly HttpMessageInvoker _system;

    /// <param name="connectTimeout">The timeout for connecting.</param>
    /// <param name="connectionLifetime">How long a connection may be reused.</param>
    public DirectLoopbackHandler(TimeSpan connectTimeout, TimeSpan connectionLifetime)
    {
        _direct = Invoker(useProxy: false);
        _system = Invoker(useProxy: true);

        HttpMessageInvoker Invoker(bool useProxy) => new(new SocketsHttpHandler
        {
            UseProxy = useProxy,
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = connectTimeout,
            PooledConnectionLifetime = connectionLifetime,
        });
    }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        (Loopback.Is(request.RequestUri!) ? _direct : _system).SendAsync(request, cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _direct.Dispose();
            _system.Dispose();
        }

        base.Dispose(disposing);
    }
}
