using System.Net.Http.Headers;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>
/// The address and the key of a service. No property and no text contains the key or the values of additional headers, and
/// they are masked in all texts from services (<see cref="SecretMask"/>).
/// </summary>
public sealed class ServiceConnection
{
    private readonly Uri _givenUri;
    private readonly string? _apiKey;
    private readonly IReadOnlyDictionary<string, string> _headers;
    private Uri? _alternateUri;

    /// <param name="baseUri">The base address with the version, such as <c>https://api.inference.net/v1</c>; http or https.</param>
    /// <param name="profile">The profile of the service.</param>
    /// <param name="apiKey">The key; null for none.</param>
    /// <param name="headers">Additional headers for every request.</param>
    /// <param name="alternateUri">See <see cref="ServiceProfile.AlternateUri"/>; null if the user chose the address.</param>
    /// <exception cref="ArgumentException">The address is not absolute, or not http or https.</exception>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.ApiKeyMissing"/>: no key, and the host is not this machine.</exception>
    public ServiceConnection(
        Uri baseUri, ServiceProfile profile, string? apiKey, IReadOnlyDictionary<string, string>? headers = null, Uri? alternateUri = null)
    {
        SecretMask.Add(apiKey);
        SecretMask.Add(baseUri.IsAbsoluteUri ? Uri.UnescapeDataString(baseUri.UserInfo.Split(':', 2)[^1]) : null);
        foreach ((string name, string value) in headers ?? new Dictionary<string, string>())
        {
            SecretMask.AddHeader(name, value);
        }

        if (!baseUri.IsAbsoluteUri || (baseUri.Scheme != Uri.UriSchemeHttp && baseUri.Scheme != Uri.UriSchemeHttps))
        {
            throw new ArgumentException(Messages.Text("InvalidValue.Address", baseUri));
        }

        if (baseUri.UserInfo.Length > 0 || baseUri.Query.Length > 0)
        {
            throw new ArgumentException(Messages.Text("InvalidValue.AddressHoldsKey"));
        }

        if (apiKey?.Trim().Any(c => c is <= ' ' or >= (char)0x7F) == true)
        {
            throw new ArgumentException(Messages.Text("InvalidValue.ApiKey"));
        }

        if (string.IsNullOrWhiteSpace(apiKey) && !Loopback.Is(baseUri) && headers is not { Count: > 0 })
        {
            throw new ServiceException(
                ServiceErrorKind.ApiKeyMissing,
                profile.KeyVariable == ConnectionResolver.KeyVariable ? Messages.Text("ApiKeyMissing", baseUri, ConnectionResolver.KeyVariable)
                : Messages.Text("ApiKeyMissing.TwoVariables", baseUri, profile.KeyVariable, ConnectionResolver.KeyVariable));
        }

        _givenUri = baseUri;
        BaseUri = baseUri;
        _alternateUri = alternateUri;
        Profile = profile;
        _apiKey = string.IsNullOrWhiteSpace(apiKey) ? null : apiKey.Trim();
        _headers = headers ?? new Dictionary<string, string>();
    }

    public Uri BaseUri { get; private set; }

    /// <summary>The provider's name.</summary>
    public string Provider => Profile.Name;

    public ServiceProfile Profile { get; }

    public bool HasApiKey => _apiKey is not null;

    /// <summary>The names of the additional headers.</summary>
    public IReadOnlyList<string> HeaderNames => _headers.Keys.ToArray();

    internal Uri? AlternateUri => _alternateUri;

    /// <summary>The instance ID in the last response of a local service; null before the first response, and for other services.</summary>
    internal string? Instance { get; set; }

    public override string ToString() => $"{Provider} ({BaseUri})";

    /// <summary>Whether the other connection has the same address, provider, key and headers, so that both are the same service.</summary>
    public bool IsSameService(ServiceConnection other) =>
        _givenUri == other._givenUri && Profile == other.Profile && _apiKey == other._apiKey
        && _headers.OrderBy(pair => pair.Key, StringComparer.Ordinal).SequenceEqual(other._headers.OrderBy(pair => pair.Key, StringComparer.Ordinal));

    /// <summary>Whether calls go to this address. A trailing slash makes no difference.</summary>
    internal bool IsAt(Uri address) => IsSame(BaseUri, address);

    /// <summary>
    /// Whether an address belongs to this service: the current address, the original address, or the alternate address
    /// (<see cref="AlternateUri"/>). All addresses of a provider's profile belong to one service.
    /// </summary>
    internal bool HasAddress(Uri address)
    {
        Uri?[] own = [BaseUri, _givenUri, _alternateUri];
        Uri?[] profiles = Profile.AlternateUri is null ? [] : [Profile.BaseUri, Profile.AlternateUri];
        bool hasProfileAddress = Array.Exists(profiles, uri => uri is not null && Array.Exists(own, ownUri => ownUri is not null && IsSame(uri, ownUri)));
        return own.Concat(hasProfileAddress ? profiles : []).Any(uri => uri is not null && IsSame(uri, address));
    }

    /// <summary>Whether two addresses are the same. The case of the host, a default port and a trailing slash make no difference.</summary>
    internal static bool IsSame(Uri address, Uri other) =>
        Uri.Compare(address, other, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0
        && address.PathAndQuery.TrimEnd('/') == other.PathAndQuery.TrimEnd('/');

    /// <summary>Returns a connection to the same service, with the same additional headers and another key.</summary>
    internal ServiceConnection WithKey(string apiKey) => new(BaseUri, Profile, apiKey, _headers, AlternateUri);

    internal void Authorize(HttpRequestHeaders headers)
    {
        if (_apiKey is not null && Profile.KeyHeader is { } name)
        {
            headers.TryAddWithoutValidation(name, _apiKey);
        }
        else if (_apiKey is not null)
        {
            headers.TryAddWithoutValidation("Authorization", "Bearer " + _apiKey);
        }

        foreach ((string header, string value) in _headers)
        {
            headers.TryAddWithoutValidation(header, value);
        }
    }

    /// <summary>Switches to the alternate address permanently. Returns false if there is none, or if it is already in use.</summary>
    internal bool SwitchToAlternate()
    {
        if (_alternateUri is not { } alternate)
        {
            return false;
        }

        // Set the address first: a call that finds no alternate address must already see the new address.
        BaseUri = alternate;
        return Interlocked.Exchange(ref _alternateUri, null) is not null;
    }
}
