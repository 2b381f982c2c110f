using System.Net;

namespace InferenceBatch.Http;

/// <summary>
/// Recognizes addresses of this machine: the name localhost and its subdomains (RFC 6761 section 6.3), its aliases in the
/// hosts files of Linux distributions, 127.0.0.0/8, ::1, and the unspecified address, which servers print when they listen
/// on all interfaces. Names are not resolved.
/// </summary>
public static class Loopback
{
    private const string Name = "localhost";

    private static readonly HashSet<string> s_aliases = new(StringComparer.OrdinalIgnoreCase)
    {
        Name, "loopback", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback",
        "localhost.localdomain", "localhost4.localdomain4", "localhost6.localdomain6",
    };

    /// <summary>Whether an absolute address names this machine.</summary>
    public static bool Is(Uri address)
    {
        // A final dot marks a complete name (RFC 1034).
        string host = address.IdnHost.TrimEnd('.');
        return IPAddress.TryParse(host, out IPAddress? number) ? Is(number)
            : s_aliases.Contains(host) || host.EndsWith("." + Name, StringComparison.OrdinalIgnoreCase);
    }

    private static bool Is(IPAddress address)
    {
        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return IPAddress.IsLoopback(address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
    }
}
