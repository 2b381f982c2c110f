namespace InferenceBatch.Support;

/// <summary>Stands where the network is: sends calls for https hosts to servers on this machine, path and headers as they are.</summary>
internal sealed class HostMap : DelegatingHandler
{
    private readonly Dictionary<string, FaultServer> _servers = [];

    public HostMap()
        : base(new SocketsHttpHandler { AllowAutoRedirect = false })
    {
    }

    /// <summary>The hosts asked, in order.</summary>
    public List<string> Asked { get; } = [];

    public HostMap To(string host, FaultServer server)
    {
        _servers[host] = server;
        return this;
    }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Uri address = request.RequestUri!;
        Assert.Equal(Uri.UriSchemeHttps, address.Scheme);
        Asked.Add(address.Host);
        request.Headers.Host = address.Host;
        request.RequestUri = new UriBuilder(address) { Scheme = "http", Host = "127.0.0.1", Port = _servers[address.Host].BaseUri.Port }.Uri;
        return base.SendAsync(request, cancellationToken);
    }
}
