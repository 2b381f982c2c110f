using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Cmdlets;

/// <summary>The base of every cmdlet that calls a service; where the calls go is decided here.</summary>
public abstract class ServiceCommand : BatchCommand
{
    /// <summary>Where calls go; see Get-BatchConnection.</summary>
    [Parameter]
    [ValidateNotNull]
    public ServiceConnection? Connection { get; set; }

    /// <summary>The service's base address, version included.</summary>
    [Parameter]
    [ValidateNotNull]
    public Uri? BaseUri { get; set; }

    /// <summary>The service's key, as SecureString or text.</summary>
    [Parameter]
    [SecretTransformation]
    [AllowNull]
    public SecureString? ApiKey { get; set; }

    /// <inheritdoc cref="ConnectionChoice.Resolve(object?)"/>
    private protected ServiceConnection Resolve(object? item = null) => Choice.Resolve(item);

    private protected ConnectionChoice Choice => new(this, Connection, BaseUri, ApiKey);

    private protected static BatchClient ClientFor(ServiceConnection connection, PipelinePump pump) =>
        new(connection, warn: pump.WriteWarning);

    /// <summary>Says once, as an error, why a batch failed: the service's own line errors.</summary>
    private protected static void ReportFailure(PipelinePump pump, Batch batch)
    {
        if (batch.Status == BatchStatus.Failed && SessionMemory.IsFirstReport(batch))
        {
            pump.WriteError(ErrorRecords.BatchFailed(batch));
        }
    }

    private protected static ProgressReporter Progress(PipelinePump pump, string activity) => new(activity, pump.WriteProgress);
}
