using System.Net;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Keeps web pages of others away from a service without keys: its reader's browser would send a page's requests to this
/// machine as readily as to any. Browsers say where a request comes from (Fetch Metadata, <c>Origin</c>); and a page whose
/// own name was made to point here (DNS rebinding) gives itself away by that name in <c>Host</c>.
/// </summary>
internal static class CrossOriginGuard
{
    private static readonly string[] s_ownSuffixes = [".localhost", ".local", ".internal"];

    /// <summary>Lets through what no foreign page can have sent.</summary>
    /// <exception cref="ApiException">403.</exception>
    public static void Check(HttpRequest request)
    {
        if (!IsOwnName(request.Host.Host))
        {
            throw new ApiException(
                403, "The service has no API key and is not to be called by this host name: use its IP address or localhost, or give it a key.", null, "foreign_host");
        }

        bool isForeign = request.Headers["Sec-Fetch-Site"].ToString() switch
        {
            // A link somebody followed shows the page and does no more.
            "cross-site" or "same-site" => request.Headers["Sec-Fetch-Mode"] != "navigate" || !HttpMethods.IsGet(request.Method),
            "" => request.Headers.Origin.Count > 0 && !IsOrigin(request.Headers.Origin.ToString(), request.Host),
            _ => false,
        };
        if (isForeign)
        {
            throw new ApiException(403, "The service has no API key and takes no requests that web pages of others make.", null, "foreign_page");
        }
    }

    /// <summary>A name that no stranger can have made point here: an address, a name without dots, a suffix of the local network.</summary>
    private static bool IsOwnName(string host) =>
        IPAddress.TryParse(host, out _) || !host.Contains('.', StringComparison.Ordinal)
        || s_ownSuffixes.Any(suffix => host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase));

    private static bool IsOrigin(string origin, HostString host) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? page) && Uri.TryCreate($"{page.Scheme}://{host.Value}", UriKind.Absolute, out Uri? here)
        && page.Authority.Equals(here.Authority, StringComparison.OrdinalIgnoreCase);
}
