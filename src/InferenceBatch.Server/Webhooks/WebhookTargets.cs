using System.Net;
using System.Net.Sockets;

namespace InferenceBatch.Server.Webhooks;

/// <summary>
/// Decides where webhooks may go. The service calls addresses that its callers choose, from inside the operator's network, so
/// it only calls public hosts by https unless the operator allows more. It resolves and checks the name for each connection
/// and connects to the checked addresses, so that a name that later resolves differently (DNS rebinding) is harmless.
/// </summary>
/// <param name="allowInsecure">Whether to allow http, this machine and private networks. Link-local and metadata addresses are never allowed.</param>
/// <param name="resolve">Resolves a host name; null for DNS.</param>
internal sealed class WebhookTargets(bool allowInsecure, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
{
    private const int MaxUrlLength = 2048;
    private const string AllowAdvice = "; --allow-insecure-webhooks (Start-BatchServer -AllowInsecureWebhooks) also allows http, this machine and private networks";

    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve = resolve ?? Dns.GetHostAddressesAsync;

    /// <summary>Returns what is wrong with an address, without resolving its name; null if it is valid.</summary>
    public string? ProblemOf(string url)
    {
        if (url.Length > MaxUrlLength || !Uri.TryCreate(url, UriKind.Absolute, out Uri? address)
            || !(address.Scheme == Uri.UriSchemeHttps || (allowInsecure && address.Scheme == Uri.UriSchemeHttp)))
        {
            return $"it must be an {(allowInsecure ? "http or https" : "https")} address of at most {MaxUrlLength} characters{(allowInsecure ? "" : AllowAdvice)}";
        }

        if (address.UserInfo.Length > 0)
        {
            return "it must not contain a user name or password, because they would not be sent";
        }

        if (HostOf(address) is not { } name)
        {
            return "its host is not a valid name";
        }

        string host = name.TrimEnd('.'); // A trailing dot does not change a name (RFC 1034). Names under localhost are this machine (RFC 6761).
        AddressKind kind = IPAddress.TryParse(host, out IPAddress? literal) ? AddressKinds.Of(literal)
            : address.IsLoopback || host == "localhost" || host.EndsWith(".localhost", StringComparison.Ordinal) ? AddressKind.Internal : AddressKind.Public;
        return IsAllowed(kind) ? null
            : $"'{name}' is not a host on the public internet{(kind == AddressKind.Internal ? AllowAdvice : "")}";
    }

    /// <summary>Returns the host as a DNS name; null if that is not possible, because IDNA forbids some characters that a URI may contain.</summary>
    private static string? HostOf(Uri address)
    {
        try
        {
            return address.IdnHost;
        }
        catch (UriFormatException)
        {
            return null;
        }
    }

    /// <summary>Connects to a host's checked addresses: a <see cref="SocketsHttpHandler.ConnectCallback"/>.</summary>
    /// <exception cref="WebhookTargetException">An address of the host is not allowed.</exception>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        DnsEndPoint host = context.DnsEndPoint;
        IPAddress[] addresses = await _resolve(host.Host, cancellationToken);
        if (addresses.Length == 0 || !addresses.All(IsAllowed))
        {
            throw new WebhookTargetException($"webhooks to the addresses of '{host.Host}' are not allowed");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, host.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private bool IsAllowed(IPAddress address) => IsAllowed(AddressKinds.Of(address));

    private bool IsAllowed(AddressKind kind) => kind == AddressKind.Public || (allowInsecure && kind == AddressKind.Internal);
}
