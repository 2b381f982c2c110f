using System.Net;
using System.Net.Sockets;

namespace InferenceBatch.Server.Webhooks;

/// <summary>
/// Where webhooks may go. The service posts to addresses that callers choose, from inside somebody's network: so to public
/// hosts by https alone, unless the operator allows more. Names are looked up and checked for each connection, and the
/// connection is made to the very addresses that were checked, so that a name that changes its mind gains nothing.
/// </summary>
/// <param name="allowInsecure">Allows http, this machine and private networks; link-local and metadata addresses never.</param>
/// <param name="resolve">Looks a name up; DNS where it is null.</param>
internal sealed class WebhookTargets(bool allowInsecure, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
{
    private const int MaxUrlLength = 2048;
    private const string AllowAdvice = "; --allow-insecure-webhooks (Start-BatchServer -AllowInsecureWebhooks) also lets http and hosts of this network be called";

    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve = resolve ?? Dns.GetHostAddressesAsync;

    /// <summary>What is wrong with an address, as far as it shows without looking its name up; null where nothing is.</summary>
    public string? ProblemOf(string url)
    {
        if (url.Length > MaxUrlLength || !Uri.TryCreate(url, UriKind.Absolute, out Uri? address)
            || !(address.Scheme == Uri.UriSchemeHttps || (allowInsecure && address.Scheme == Uri.UriSchemeHttp)))
        {
            return $"an {(allowInsecure ? "http or https" : "https")} address of at most {MaxUrlLength} characters is wanted{(allowInsecure ? "" : AllowAdvice)}";
        }

        if (address.UserInfo.Length > 0)
        {
            return "a user name or password in it would not be sent";
        }

        if (HostOf(address) is not { } name)
        {
            return "its host is not a valid name";
        }

        string host = name.TrimEnd('.'); // A dot at the end makes no other name (RFC 1034); all below localhost is this machine (RFC 6761).
        AddressKind kind = IPAddress.TryParse(host, out IPAddress? literal) ? AddressKinds.Of(literal)
            : address.IsLoopback || host == "localhost" || host.EndsWith(".localhost", StringComparison.Ordinal) ? AddressKind.Internal : AddressKind.Public;
        return IsAllowed(kind) ? null
            : $"'{name}' is no host of the public internet{(kind == AddressKind.Internal ? AllowAdvice : "")}";
    }

    /// <summary>The host as DNS knows it; null when it has no such form (IDNA forbids some characters that a URI may hold).</summary>
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
    /// <exception cref="WebhookTargetException">The host stands where none may.</exception>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        DnsEndPoint host = context.DnsEndPoint;
        IPAddress[] addresses = await _resolve(host.Host, cancellationToken);
        if (addresses.Length == 0 || !addresses.All(IsAllowed))
        {
            throw new WebhookTargetException($"'{host.Host}' is no host that webhooks may go to");
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
