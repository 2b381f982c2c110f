using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.RegularExpressions;
using InferenceBatch.Model;

namespace InferenceBatch.Http;

/// <summary>Says why there was no connection, or none that lasted, in words that are the same on every system.</summary>
public static partial class ConnectionFault
{
    /// <summary>Describes a fault, with the host and port it concerns where <paramref name="home"/> does not show them.</summary>
    /// <param name="fault">What the HTTP client threw.</param>
    /// <param name="home">The service's address.</param>
    public static string Describe(Exception fault, Uri home)
    {
        // The client names the address that it connected to, which may be a proxy's or that of a redirect.
        string address = AddressAtEnd().Match(fault.Message) is { Success: true } match ? match.Groups[1].Value : $"{home.IdnHost}:{home.Port}";
        string reason = Reason(fault);
        return home.AbsoluteUri.Contains($"//{address}/", StringComparison.OrdinalIgnoreCase) ? reason : $"{reason} ({address})";
    }

    /// <summary>Whether the time for a connection was over, not that for an answer.</summary>
    public static bool IsConnectTimeout(Exception fault) => fault is OperationCanceledException { InnerException: TimeoutException };

    /// <summary>The reason alone, such as <c>connection refused</c>; it names no address.</summary>
    /// <param name="fault">What the HTTP client threw.</param>
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
            Messages.Text(IsOfCertificate(fault) ? "ServiceUnavailable.Certificate" : "ServiceUnavailable.Tls", innermost.Message.TrimEnd('.')),
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

    private static bool IsOfCertificate(Exception? fault) => fault is not null
        && ((fault is AuthenticationException && fault.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase)) || IsOfCertificate(fault.InnerException));

    [GeneratedRegex(@"\((\[?[^\s()]+:\d+)\)$")]
    private static partial Regex AddressAtEnd();
}
