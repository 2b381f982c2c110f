using System.Net;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Protects a service without keys from web pages of other sites, because a browser also sends their requests to this
/// machine. Browsers say where a request comes from (Fetch Metadata, <c>Origin</c>). A page whose own host name was made to
/// point to this machine (DNS rebinding) is recognized by that name in <c>Host</c>.
/// </summary>
internal static class CrossOriginGuard
{
    private static readonly string[] s_ownSuffixes = [".localhost", ".local", ".internal"];

    /// <summary>Refuses a request that a page of another site may have sent.</summary>
    /// <exception cref="ApiException">403: the request is refused.</exception>
    public static void Check(HttpRequest request)
    {
        if (!IsOwnName(request.Host.Host))
        {
            throw new ApiException(
                403, "A service without API keys accepts no requests to this host name. Use its IP address or localhost, or start it with --api-key-env.", null, "foreign_host");
        }

        bool isForeign = request.Headers["Sec-Fetch-Site"].ToString() switch
        {
            // A followed link only shows the page.
            "cross-site" or "same-site" => request.Headers["Sec-Fetch-Mode"] != "navigate" || !HttpMethods.IsGet(request.Method),
            "" => request.Headers.Origin.Count > 0 && !IsOrigin(request.Headers.Origin.ToString(), request.Host),
            _ => false,
        };
        if (isForeign)
        {
            throw new ApiException(403, "A service without API keys accepts no requests from web pages of other sites.", null, "foreign_page");
        }
    }

    /// <summary>Whether others cannot make this name point to this machine: it is an address, has no dots, or has a suffix of the local network.</summary>
    private static bool IsOwnName(string host) =>
        IPAddress.TryParse(host, out _) || !host.Contains('.', StringComparison.Ordinal)
        || s_ownSuffixes.Any(suffix => host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase));

    private static bool IsOrigin(string origin, HostString host) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? page) && Uri.TryCreate($"{page.Scheme}://{host.Value}", UriKind.Absolute, out Uri? here)
        && page.Authority.Equals(here.Authority, StringComparison.OrdinalIgnoreCase);
}
