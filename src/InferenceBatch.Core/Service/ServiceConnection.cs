using System.Net.Http.Headers;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>
/// Where calls go and with what key. The key and the values of further headers are in no property and in no text, and are
/// masked in what services say (<see cref="SecretMask"/>).
/// </summary>
public sealed class ServiceConnection
{
    private readonly Uri _givenUri;
    private readonly string? _apiKey;
    private readonly IReadOnlyDictionary<string, string> _headers;
    private Uri? _alternateUri;

    /// <param name="baseUri">The base address, version included, such as <c>https://api.inference.net/v1</c>; http or https.</param>
    /// <param name="profile">What is particular about the service.</param>
    /// <param name="apiKey">The key; null for none.</param>
    /// <param name="headers">Sent with every call.</param>
    /// <param name="alternateUri">See <see cref="ServiceProfile.AlternateUri"/>; null when the address was chosen by a person.</param>
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

    /// <summary>The names of the further headers sent.</summary>
    public IReadOnlyList<string> HeaderNames => _headers.Keys.ToArray();

    internal Uri? AlternateUri => _alternateUri;

    /// <summary>The identity that the service gave with its last answer; null before the first, and of others than local services.</summary>
    internal string? Instance { get; set; }

    public override string ToString() => $"{Provider} ({BaseUri})";

    /// <summary>Whether the other was made from the same address, provider, key and headers, so that what was learnt of the one holds for it too.</summary>
    public bool IsSameService(ServiceConnection other) =>
        _givenUri == other._givenUri && Profile == other.Profile && _apiKey == other._apiKey
        && _headers.OrderBy(pair => pair.Key, StringComparer.Ordinal).SequenceEqual(other._headers.OrderBy(pair => pair.Key, StringComparer.Ordinal));

    /// <summary>Whether this is the address calls go to; a slash at its end makes no difference.</summary>
    internal bool IsAt(Uri address) => IsSame(BaseUri, address);

    /// <summary>
    /// Whether an address is one of this service's: the one calls go to, the one it was made with, or its other one
    /// (<see cref="AlternateUri"/>); the addresses of a provider's profile are those of one service.
    /// </summary>
    internal bool HasAddress(Uri address)
    {
        Uri?[] mine = [BaseUri, _givenUri, _alternateUri];
        Uri?[] profiles = Profile.AlternateUri is null ? [] : [Profile.BaseUri, Profile.AlternateUri];
        bool isProfiles = Array.Exists(profiles, one => one is not null && Array.Exists(mine, my => my is not null && IsSame(one, my)));
        return mine.Concat(isProfiles ? profiles : []).Any(one => one is not null && IsSame(one, address));
    }

    /// <summary>Whether two addresses are the same: case of the host, a default port and a slash at the end make no difference.</summary>
    internal static bool IsSame(Uri one, Uri other) =>
        Uri.Compare(one, other, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0
        && one.PathAndQuery.TrimEnd('/') == other.PathAndQuery.TrimEnd('/');

    /// <summary>The same service, its further headers included, with another key.</summary>
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

    /// <summary>Turns to the alternate address, for good; false when there is none (any more).</summary>
    internal bool SwitchToAlternate()
    {
        if (_alternateUri is not { } alternate)
        {
            return false;
        }

        // The address first: a call that finds the alternate gone must find it in its place.
        BaseUri = alternate;
        return Interlocked.Exchange(ref _alternateUri, null) is not null;
    }
}
