using System.Collections;
using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.LocalServer;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Connect-BatchService: sets the default connection of the session. Sends nothing.</summary>
[Cmdlet(VerbsCommunications.Connect, "BatchService", DefaultParameterSetName = ProviderSet)]
[OutputType(typeof(ServiceConnection))]
public sealed class ConnectBatchServiceCommand : ServiceCommand
{
    private const string ProviderSet = "Provider";
    private const string ServerSet = "Server";

    /// <summary>The name of a profile. Local is the service that Start-BatchServer started last, else port 8421 of this machine.</summary>
    [Parameter(Position = 0, ParameterSetName = ProviderSet)]
    [ArgumentCompleter(typeof(ProviderCompleter))]
    [ValidateNotNullOrEmpty]
    public string? Provider { get; set; }

    /// <summary>A local service, from Get-BatchServer.</summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = ServerSet)]
    [ValidateNotNull]
    public BatchServer? Server { get; set; }

    /// <summary>Additional headers for every call.</summary>
    [Parameter]
    [TextTableTransformation]
    [ValidateNotNull]
    public Hashtable? Header { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void EndProcessing()
    {
        bool isLocal = ServiceProfile.Local.Name.Equals(Provider, StringComparison.OrdinalIgnoreCase);
        BatchServer? server = Server ?? (isLocal && BaseUri is null && Connection is null && ServerRegistry.List() is [.., var last] ? last : null);
        SessionMemory.Default = server?.Connect(ApiKey) ?? Choice.ResolveDefault(Provider, Header);
        if (PassThru)
        {
            WriteObject(SessionMemory.Default);
        }
    }
}
