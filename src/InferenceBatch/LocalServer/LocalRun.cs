using InferenceBatch.Runs;
using InferenceBatch.Service;

namespace InferenceBatch.LocalServer;

/// <summary>
/// Finds the local service with which the run of a checkpoint was started. Compares the service's ID, because another service may use the
/// port now.
/// </summary>
internal static class LocalRun
{
    /// <summary>Returns the service at an address; null if nothing responds.</summary>
    public static Task<ServiceInstance?> AskAsync(Uri address, CancellationToken cancellationToken) =>
        new BatchClient(new ServiceConnection(address, ServiceProfile.Local, null)).FindInstanceAsync(cancellationToken);

    /// <summary>Returns the current address of the service: the old one, or that of a service that this user has started. Null if it does not run.</summary>
    public static async Task<Uri?> FindAsync(RunService begun, CancellationToken cancellationToken)
    {
        foreach (Uri address in ServerRegistry.List().Select(server => server.Uri).Prepend(begun.Address).Distinct())
        {
            if (begun.Instance is not null && (await AskAsync(address, cancellationToken).ConfigureAwait(false))?.Id == begun.Instance)
            {
                return address;
            }
        }

        return null;
    }

    /// <summary>Returns the data folder of the service at an address; null if this user has not started it.</summary>
    public static string? DataPathOf(Uri address) => ServerRegistry.List().FirstOrDefault(server => server.Uri == address)?.DataPath;
}
