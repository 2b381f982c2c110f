using System.Net;
using System.Net.Sockets;

namespace InferenceBatch.Server.Webhooks;

/// <summary>Classifies IP addresses by the IANA special-purpose registries (RFC 6890). An IPv6 address that embeds an IPv4 address is classified by the latter.</summary>
internal static class AddressKinds
{
    /// <summary>The first match applies. Metadata services of clouds come first, because they are within private ranges.</summary>
    private static readonly (IPNetwork Network, AddressKind Kind)[] s_networks =
    [
        .. Networks(AddressKind.Forbidden, "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32"),
        .. Networks(AddressKind.Internal,
            "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15",
            "::1/128", "fc00::/7", "fec0::/10"),
        .. Networks(AddressKind.Forbidden,
            "0.0.0.0/8", "169.254.0.0/16", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "2001::/23", "2001:db8::/32", "3fff::/20"),
        // The only IPv6 range that is assigned to hosts of the internet.
        .. Networks(AddressKind.Public, "0.0.0.0/0", "2000::/3"),
        .. Networks(AddressKind.Forbidden, "::/0"),
    ];

    private static readonly IPNetwork s_sixToFour = IPNetwork.Parse("2002::/16");
    private static readonly IPNetwork s_nat64 = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork s_compatible = IPNetwork.Parse("::/96");

    public static AddressKind Of(IPAddress address)
    {
        IPAddress inner = Unwrap(address);
        return Array.Find(s_networks, entry => entry.Network.BaseAddress.AddressFamily == inner.AddressFamily && entry.Network.Contains(inner)).Kind;
    }

    private static IPAddress Unwrap(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }

        byte[] bytes = address.GetAddressBytes();
        var plain = new IPAddress(bytes); // Without the scope, which does not matter here.
        return plain.IsIPv4MappedToIPv6 ? plain.MapToIPv4()
            : s_sixToFour.Contains(plain) ? new IPAddress(bytes.AsSpan(2, 4))
            : s_nat64.Contains(plain) ? new IPAddress(bytes.AsSpan(12, 4))
            : s_compatible.Contains(plain) && !plain.Equals(IPAddress.IPv6Loopback) && !plain.Equals(IPAddress.IPv6Any) ? new IPAddress(bytes.AsSpan(12, 4))
            : plain;
    }

    private static IEnumerable<(IPNetwork, AddressKind)> Networks(AddressKind kind, params string[] networks) =>
        networks.Select(network => (IPNetwork.Parse(network), kind));
}
