using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.RegularExpressions;
using InferenceBatch.Model;

namespace InferenceBatch.Http;

/// <summary>Describes why a connection failed or broke, in words that are the same on every operating system.</summary>
public static partial class ConnectionFault
{
    /// <summary>Describes a fault. Adds the host and port if they differ from those of <paramref name="service"/>.</summary>
    /// <param name="fault">The exception of the HTTP client.</param>
    /// <param name="service">The address of the service.</param>
    public static string Describe(Exception fault, Uri service)
    {
        // The message has the address of the connection, which may belong to a proxy or a redirect.
        string address = AddressAtEnd().Match(fault.Message) is { Success: true } match ? match.Groups[1].Value : $"{service.IdnHost}:{service.Port}";
        string reason = Reason(fault);
        return service.AbsoluteUri.Contains($"//{address}/", StringComparison.OrdinalIgnoreCase) ? reason : $"{reason} ({address})";
    }

    /// <summary>Whether connecting timed out, and not the response.</summary>
    public static bool IsConnectTimeout(Exception fault) => fault is OperationCanceledException { InnerException: TimeoutException };

    /// <summary>Returns the reason without an address, such as <c>connection refused</c>.</summary>
    /// <param name="fault">The exception of the HTTP client.</param>
    public static string Reason(Exception fault)
    {
        Exception innermost = fault;
        for (; innermost.InnerException is { } inner; innermost = inner)
        {
        }

        return Reason(fault, innermost);
    }

    private static string Reason(Exception fault, Exception innermost) => fault switch
    {
        _ when IsConnectTimeout(fault) => Messages.Text("ServiceUnavailable.ConnectTimeout"),
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => Messages.Text("ServiceUnavailable.HostNotFound"),
        HttpRequestException { HttpRequestError: HttpRequestError.ProxyTunnelError, StatusCode: { } status } => Messages.Text("ServiceUnavailable.Proxy", (int)status),
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } =>
            Messages.Text(IsCertificateFault(fault) ? "ServiceUnavailable.Certificate" : "ServiceUnavailable.Tls", innermost.Message.TrimEnd('.')),
        _ when innermost is SocketException socket => Reason(socket),
        HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } => Messages.Text("ServiceUnavailable.Ended"),
        _ => innermost.Message.TrimEnd('.'),
    };

    private static string Reason(SocketException fault) => fault.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => Messages.Text("ServiceUnavailable.Refused"),
        SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData or SocketError.NoRecovery => Messages.Text("ServiceUnavailable.HostNotFound"),
        SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostDown or SocketError.NetworkDown => Messages.Text("ServiceUnavailable.NoRoute"),
        SocketError.TimedOut => Messages.Text("ServiceUnavailable.ConnectTimeout"),
        SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown => Messages.Text("ServiceUnavailable.Broken"),
        _ => fault.Message.TrimEnd('.'),
    };

    private static bool IsCertificateFault(Exception? fault) => fault is not null
        && ((fault is AuthenticationException && fault.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase)) || IsCertificateFault(fault.InnerException));

    [GeneratedRegex(@"\((\[?[^\s()]+:\d+)\)$")]
    private static partial Regex AddressAtEnd();
}
