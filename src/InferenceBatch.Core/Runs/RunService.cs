using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>The service of a run.</summary>
/// <param name="Address">Its last known address.</param>
/// <param name="Instance">The instance ID of a local service, known after its first response to the run; null for other services, and in checkpoints of earlier versions.</param>
/// <param name="DataPath">The data folder of a local service; null if unknown.</param>
public sealed record RunService(Uri Address, string? Instance = null, string? DataPath = null)
{
    /// <summary>
    /// Whether this is the service at an address. A local service is identified by its instance ID, even if its address has
    /// changed. Other services are identified by their address, as is a service that does not respond.
    /// </summary>
    /// <param name="hasAddress">Whether an address belongs to the service that the run calls.</param>
    /// <param name="instance">The instance that responds there; null if none responds, or if the caller did not ask.</param>
    internal bool IsAt(Func<Uri, bool> hasAddress, ServiceInstance? instance) =>
        Instance is not null && instance is not null ? instance.Id == Instance : hasAddress(Address);

    /// <summary>Returns the error text for a checkpoint of another service, with advice.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="address">The address.</param>
    /// <param name="find">Finds the current address of a local service. Its old address may belong to another program now.</param>
    internal string MismatchText(string folder, Uri address, Func<RunService, Uri?>? find) =>
        (Instance is null ? Address : find?.Invoke(this)) is { } now
            ? Messages.Text("CheckpointMismatch.Address", folder, now, address)
            : Messages.Text("CheckpointMismatch.LocalService", folder, address, DataPath is null ? "" : $" -DataPath '{DataPath.Replace("'", "''", StringComparison.Ordinal)}'");
}
