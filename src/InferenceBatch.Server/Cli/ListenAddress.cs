using System.Net;

namespace InferenceBatch.Server.Cli;

/// <summary>Reads <c>--urls</c>: one or more addresses <c>http://HOST:PORT</c>, separated by semicolons.</summary>
internal static class ListenAddress
{
    /// <summary>Reads the addresses.</summary>
    /// <exception cref="FormatException">An address is not valid.</exception>
    public static IReadOnlyList<IPEndPoint> Read(string text)
    {
        string[] urls = text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return urls.Length > 0 ? [.. urls.Select(ReadOne)] : throw new FormatException("expected an address such as http://127.0.0.1:8421.");
    }

    private static IPEndPoint ReadOne(string url)
    {
        const string Scheme = "http://";
        if (!url.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            throw new FormatException($"'{url}' must begin with http://. For TLS, use a reverse proxy.");
        }

        string rest = url[Scheme.Length..].TrimEnd('/');
        int colon = rest.LastIndexOf(':');
        if (colon < 0 || !WholeNumber.TryRead(rest.AsSpan(colon + 1), ushort.MinValue, ushort.MaxValue, out ushort port))
        {
            throw new FormatException($"'{url}' has no valid port. Use an address such as http://127.0.0.1:8421.");
        }

        return rest[..colon] switch
        {
            "localhost" => new IPEndPoint(IPAddress.Loopback, port),
            "*" or "+" => new IPEndPoint(IPAddress.IPv6Any, port),
            string host when IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) => new IPEndPoint(address, port),
            string host => throw new FormatException($"'{host}' must be an IP address or localhost."),
        };
    }
}
