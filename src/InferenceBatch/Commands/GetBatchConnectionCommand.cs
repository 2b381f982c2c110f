using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Service;

namespace InferenceBatch.Commands;

/// <summary>Get-BatchConnection: returns the connection that a call would use now.</summary>
[Cmdlet(VerbsCommon.Get, "BatchConnection")]
[OutputType(typeof(ServiceConnection))]
public sealed class GetBatchConnectionCommand : ServiceCommand
{
    protected override void EndProcessing() => WriteObject(Resolve());
}
