namespace InferenceBatch.Http;

/// <summary>
/// Sends requests to this machine (<see cref="Loopback"/>) directly, and all others as the system says: through the proxy of
/// <c>HTTP_PROXY</c>, <c>HTTPS_PROXY</c> or <c>ALL_PROXY</c> unless <c>NO_PROXY</c> excepts them, or of the system's settings.
/// .NET itself sends requests for loopback addresses to the proxy of these variables. It does not follow redirects, so that
/// each address is judged for itself.
/// </summary>
public sealed class DirectLoopbackHandler : HttpMessageHandler
{
    private readonly HttpMessageInvoker _direct;
    private readonly HttpMessageInvoker _system;

    /// <param name="connectTimeout">How long a connection may take to be made.</param>
    /// <param name="connectionLifetime">How long a connection may be used again.</param>
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
