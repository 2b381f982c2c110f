using System.Collections;
using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.LocalServer;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Cmdlets;

/// <summary>Resolves the connection for the calls of a cmdlet from its parameters, the origin of its input, the session and the environment.</summary>
/// <param name="cmdlet">The cmdlet. An address or provider that is not valid, or a missing key, is a terminating error of it.</param>
/// <param name="connection">The value of -Connection.</param>
/// <param name="baseUri">The value of -BaseUri.</param>
/// <param name="apiKey">The value of -ApiKey.</param>
internal sealed class ConnectionChoice(PSCmdlet cmdlet, ServiceConnection? connection, Uri? baseUri, SecureString? apiKey)
{
    /// <summary>
    /// Returns the connection for calls about an object: from the parameters, else where the object came from, else the session's default,
    /// else from the environment.
    /// </summary>
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

    /// <summary>Returns a new default connection: from the parameters, else from the environment. The current default of the session is ignored.</summary>
    public ServiceConnection ResolveDefault(string? provider, Hashtable? headers) => connection ?? Resolve(provider, null, headers);

    /// <summary>
    /// Returns the profile of the service that was chosen, without resolving a connection: no key is needed. Returns null if none was
    /// chosen.
    /// </summary>
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
            // Nothing was chosen. If a local service runs, the message suggests it.
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

    /// <summary>Removes the password or key because of which the address was refused.</summary>
    private static Uri? WithoutSecrets(Uri? address) => address is not { IsAbsoluteUri: true } || (address.UserInfo.Length == 0 && address.Query.Length == 0) ? address
        : new UriBuilder(address) { UserName = "", Password = "", Query = "" }.Uri;
}
