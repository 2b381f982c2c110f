using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>The service that a run was begun at.</summary>
/// <param name="Address">Where it was last found.</param>
/// <param name="Instance">The identity of a local service, once it has taken something of the run; null for another, and in checkpoints of earlier versions.</param>
/// <param name="DataPath">The data folder of a local service, where it was known.</param>
public sealed record RunService(Uri Address, string? Instance = null, string? DataPath = null)
{
    /// <summary>
    /// Whether it is the service at an address. A local service is known by its identity, whatever its address is by now; of
    /// another, and where nothing answers, the address counts.
    /// </summary>
    /// <param name="hasAddress">Whether an address is one of the service's there.</param>
    /// <param name="answering">What answers there; null where nothing does, and where nobody asked.</param>
    internal bool IsAt(Func<Uri, bool> hasAddress, ServiceInstance? answering) =>
        Instance is not null && answering is not null ? answering.Id == Instance : hasAddress(Address);

    /// <summary>The text that says that a checkpoint's run is not one of the service at an address, with what to do.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="address">The address.</param>
    /// <param name="find">Finds where a local service is now: the address that it had may be another program's.</param>
    internal string MismatchText(string folder, Uri address, Func<RunService, Uri?>? find) =>
        (Instance is null ? Address : find?.Invoke(this)) is { } now
            ? Messages.Text("CheckpointMismatch.Address", folder, now, address)
            : Messages.Text("CheckpointMismatch.LocalService", folder, address, DataPath is null ? "" : $" -DataPath '{DataPath.Replace("'", "''", StringComparison.Ordinal)}'");
}
