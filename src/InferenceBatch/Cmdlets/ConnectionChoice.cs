using System.Collections;
using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.LocalServer;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Cmdlets;

/// <summary>Decides where a cmdlet's calls go, from what was given with it, where its input came from, the session and the environment.</summary>
/// <param name="cmdlet">Ended by an address or provider that is none, and by a missing key.</param>
/// <param name="connection">As given.</param>
/// <param name="baseUri">As given.</param>
/// <param name="apiKey">As given.</param>
internal sealed class ConnectionChoice(PSCmdlet cmdlet, ServiceConnection? connection, Uri? baseUri, SecureString? apiKey)
{
    /// <summary>Where a call for an object goes: what was given with the command, else where the object came from, else the session's default, else the environment's.</summary>
    public ServiceConnection Resolve(object? item = null)
    {
        if (connection is not null)
        {
            return connection;
        }

        if (baseUri is null && apiKey is null && SessionMemory.OriginOf(item) is { } origin)
        {
            return origin;
        }

        ServiceConnection resolved = Resolve(null, SessionMemory.Default, null);
        if (baseUri is null)
        {
            SessionScope.Current.Keep();
        }

        return resolved;
    }

    /// <summary>A new default: what was given, else the environment's; what the session had so far does not count.</summary>
    public ServiceConnection ResolveDefault(string? provider, Hashtable? headers) => connection ?? Resolve(provider, null, headers);

    /// <summary>Returns the profile of the service that was chosen, without resolving a connection: no key is needed. Returns null if none was chosen.</summary>
    public ServiceProfile? FindProfile() =>
        connection?.Profile ?? new ConnectionResolver(Environment.GetEnvironmentVariable).FindProfile(baseUri, SessionMemory.Default);

    private ServiceConnection Resolve(string? provider, ServiceConnection? session, Hashtable? headers)
    {
        try
        {
            var resolver = new ConnectionResolver(Environment.GetEnvironmentVariable);
            return SessionMemory.Unify(resolver.Resolve(baseUri, SecretText.NotEmpty(apiKey), provider, session, MetadataReader.Read(headers)));
        }
        catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.ApiKeyMissing && baseUri is null && provider is null)
        {
            // Nobody chose where to go: what is here may be what is meant.
            cmdlet.ThrowTerminatingError(ErrorRecords.Caused(
                exception, ServerRegistry.List() is [] ? "ApiKeyMissing.NoLocal" : "ApiKeyMissing.LocalRuns", null, exception.Message));
            throw;
        }
        catch (Exception exception) when (exception is ArgumentException or ServiceException)
        {
            cmdlet.ThrowTerminatingError(ErrorRecords.From(exception, provider ?? (object?)WithoutSecrets(baseUri)));
            throw;
        }
    }

    /// <summary>An address that was refused because it holds a password or a key must not be shown with it.</summary>
    private static Uri? WithoutSecrets(Uri? address) => address is not { IsAbsoluteUri: true } || (address.UserInfo.Length == 0 && address.Query.Length == 0) ? address
        : new UriBuilder(address) { UserName = "", Password = "", Query = "" }.Uri;
}
