using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.LocalServer;

namespace InferenceBatch.Commands;

/// <summary>Get-BatchServer: returns the running local services of this user, from any shell.</summary>
[Cmdlet(VerbsCommon.Get, "BatchServer")]
[OutputType(typeof(BatchServer))]
public sealed class GetBatchServerCommand : BatchCommand
{
    protected override void EndProcessing() => WriteObject(ServerRegistry.List(), enumerateCollection: true);
}
