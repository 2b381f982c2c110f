using InferenceBatch.Runs;
using InferenceBatch.Service;

namespace InferenceBatch.LocalServer;

/// <summary>Finds the local service that a checkpoint's run was begun at: by its identity, for its port may be another's by now.</summary>
internal static class LocalRun
{
    /// <summary>What answers at an address; null where nothing does.</summary>
    public static Task<ServiceInstance?> AskAsync(Uri address, CancellationToken cancellationToken) =>
        new BatchClient(new ServiceConnection(address, ServiceProfile.Local, null)).FindInstanceAsync(cancellationToken);

    /// <summary>Where the service is now: where it was, or among those that this user has started; null where it does not run.</summary>
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

    /// <summary>The data folder of the service at an address; null where this user has not started it.</summary>
    public static string? DataPathOf(Uri address) => ServerRegistry.List().FirstOrDefault(server => server.Uri == address)?.DataPath;
}
