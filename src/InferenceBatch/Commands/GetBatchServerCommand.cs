using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.LocalServer;

namespace InferenceBatch.Commands;

/// <summary>Get-BatchServer: the local services of this user that run, whichever shell started them.</summary>
[Cmdlet(VerbsCommon.Get, "BatchServer")]
[OutputType(typeof(BatchServer))]
public sealed class GetBatchServerCommand : BatchCommand
{
    protected override void EndProcessing() => WriteObject(ServerRegistry.List(), enumerateCollection: true);
}
