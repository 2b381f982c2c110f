using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Disconnect-BatchService: removes the default connection of the session.</summary>
[Cmdlet(VerbsCommunications.Disconnect, "BatchService")]
[OutputType(typeof(void))]
public sealed class DisconnectBatchServiceCommand : BatchCommand
{
    protected override void EndProcessing() => SessionMemory.Default = null;
}
