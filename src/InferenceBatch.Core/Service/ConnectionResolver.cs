using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Resolves the service of a call: from its parameters, otherwise the default of the session, otherwise the environment,
/// otherwise the Inference.net profile. The key of a session is sent only to the address that it was set for.
/// </summary>
/// <param name="environment">Reads an environment variable; called for each call.</param>
public sealed class ConnectionResolver(Func<string, string?> environment)
{
    public const string AddressVariable = "INFERENCE_BASE_URL";
    public const string KeyVariable = "INFERENCE_API_KEY";

    /// <summary>Resolves a connection.</summary>
    /// <param name="baseUri">The address; null if the user gave none.</param>
    /// <param name="apiKey">The key; null if the user gave none.</param>
    /// <param name="provider">The name of a profile; null if the user gave none.</param>
    /// <param name="session">The default of the session; null if there is none.</param>
    /// <param name="headers">Headers for every request.</param>
    /// <exception cref="ArgumentException">The address is not valid, or the provider is unknown or has no common address.</exception>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.ApiKeyMissing"/>.</exception>
    public ServiceConnection Resolve(
        Uri? baseUri, string? apiKey, string? provider, ServiceConnection? session, IReadOnlyDictionary<string, string>? headers = null)
    {
        ServiceProfile? profile = provider is null ? null : ServiceProfile.Find(provider) ?? throw new ArgumentException(
            provider.Contains("://", StringComparison.Ordinal) ? Messages.Text("InvalidValue.AddressAsProvider", provider)
            : Messages.Text("InvalidValue.ProviderOrAddress", provider, string.Join(", ", ServiceProfile.All)));
        if (baseUri is { IsAbsoluteUri: false })
        {
            throw new ArgumentException(Messages.Text("InvalidValue.Address", baseUri));
        }

        bool isSession = profile is null && session is not null && (baseUri is null || session.IsAt(baseUri));
        if (isSession)
        {
            return apiKey is null ? session! : session!.WithKey(apiKey);
        }

        Uri? address = baseUri ?? profile?.BaseUri ?? (profile is null ? FromEnvironment() : null);
        if (address is null && profile is not null)
        {
            throw new ArgumentException(Messages.Text("InvalidValue.NoCommonAddress", profile));
        }

        if (address is null)
        {
            profile = ServiceProfile.InferenceNet;
        }

        profile ??= ServiceProfile.ForAddress(address!);
        return new ServiceConnection(
            address ?? profile.BaseUri!,
            profile,
            apiKey ?? NotEmpty(environment(profile.KeyVariable)) ?? NotEmpty(environment(KeyVariable)),
            headers,
            address is null || (baseUri is null && address == profile.BaseUri && provider is not null) ? profile.AlternateUri : null);
    }

    /// <summary>
    /// Returns the profile of the service that was chosen by the address given, else by the session, else by the environment. Needs no key.
    /// Returns null if nothing names a service, or the address is not valid.
    /// </summary>
    public ServiceProfile? FindProfile(Uri? baseUri, ServiceConnection? session)
    {
        if (session is not null && (baseUri is null || (baseUri.IsAbsoluteUri && session.IsAt(baseUri))))
        {
            return session.Profile;
        }

        Uri? address = baseUri ?? (Uri.TryCreate(NotEmpty(environment(AddressVariable)), UriKind.Absolute, out Uri? set) ? set : null);
        return address is { IsAbsoluteUri: true } ? ServiceProfile.ForAddress(address) : null;
    }

    private Uri? FromEnvironment()
    {
        if (NotEmpty(environment(AddressVariable)) is not { } text)
        {
            return null;
        }

        return Uri.TryCreate(text, UriKind.Absolute, out Uri? address) ? address
            : throw new ArgumentException(Messages.Text("InvalidValue.AddressVariable", AddressVariable, text));
    }

    private static string? NotEmpty(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;
}
