using System.Collections;
using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Pipeline;
using InferenceBatch.Service;

namespace InferenceBatch.Commands;

/// <summary>Connect-BatchService: sets where the session's calls go. Sends nothing.</summary>
[Cmdlet(VerbsCommunications.Connect, "BatchService")]
[OutputType(typeof(ServiceConnection))]
public sealed class ConnectBatchServiceCommand : ServiceCommand
{
    [Parameter(Position = 0)]
    [ArgumentCompleter(typeof(ProviderCompleter))]
    [ValidateNotNullOrEmpty]
    public string? Provider { get; set; }

    /// <summary>Sent with every call.</summary>
    [Parameter]
    [ValidateNotNull]
    public Hashtable? Header { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void EndProcessing()
    {
        Session.Default = Choice.ResolveDefault(Provider, Header);
        if (PassThru)
        {
            WriteObject(Session.Default);
        }
    }
}
