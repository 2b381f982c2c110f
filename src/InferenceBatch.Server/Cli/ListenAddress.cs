using System.Globalization;
using System.Net;

namespace InferenceBatch.Server.Cli;

/// <summary>Reads <c>--urls</c>: one or several of <c>http://HOST:PORT</c>, separated by semicolons.</summary>
internal static class ListenAddress
{
    /// <summary>Reads them.</summary>
    /// <exception cref="FormatException">One is none.</exception>
    public static IReadOnlyList<IPEndPoint> Read(string text)
    {
        string[] urls = text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return urls.Length > 0 ? [.. urls.Select(ReadOne)] : throw new FormatException("An address is wanted, such as http://127.0.0.1:8421.");
    }

    private static IPEndPoint ReadOne(string url)
    {
        const string Scheme = "http://";
        if (!url.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            throw new FormatException($"'{url}' does not begin with http:// (for TLS put a reverse proxy in front).");
        }

        string rest = url[Scheme.Length..].TrimEnd('/');
        int colon = rest.LastIndexOf(':');
        if (colon < 0 || !ushort.TryParse(rest.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            throw new FormatException($"'{url}' names no port, such as http://127.0.0.1:8421.");
        }

        return rest[..colon] switch
        {
            "localhost" => new IPEndPoint(IPAddress.Loopback, port),
            "*" or "+" => new IPEndPoint(IPAddress.IPv6Any, port),
            string host when IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) => new IPEndPoint(address, port),
            string host => throw new FormatException($"'{host}' is neither an IP address nor localhost."),
        };
    }
}
