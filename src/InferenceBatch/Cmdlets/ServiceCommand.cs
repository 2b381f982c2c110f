using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Cmdlets;

/// <summary>The base of cmdlets that call a service, or build requests for one.</summary>
public abstract class ServiceCommand : BatchCommand
{
    /// <summary>The connection for calls, from Get-BatchConnection.</summary>
    [Parameter]
    [ValidateNotNull]
    public ServiceConnection? Connection { get; set; }

    /// <summary>The base address of the service, with the version.</summary>
    [Parameter]
    [ValidateNotNull]
    public Uri? BaseUri { get; set; }

    /// <summary>The key of the service, as SecureString or text.</summary>
    [Parameter]
    [SecretTransformation]
    [AllowNull]
    public SecureString? ApiKey { get; set; }

    /// <inheritdoc cref="ConnectionChoice.Resolve(object?)"/>
    private protected ServiceConnection Resolve(object? item = null) => Choice.Resolve(item);

    private protected ConnectionChoice Choice => new(this, Connection, BaseUri, ApiKey);

    private protected static BatchClient ClientFor(ServiceConnection connection, PipelinePump pump) =>
        new(connection, warn: pump.WriteWarning);

    /// <summary>
    /// Writes an error with the service's reasons if the batch failed. Writes it once for each batch object, so that a pipeline does not
    /// repeat it.
    /// </summary>
    private protected static void ReportFailure(PipelinePump pump, Batch batch)
    {
        if (batch.Status == BatchStatus.Failed && SessionMemory.IsFirstReport(batch))
        {
            pump.WriteError(ErrorRecords.BatchFailed(batch));
        }
    }

    private protected static ProgressReporter Progress(PipelinePump pump, string activity) => new(activity, pump.WriteProgress);
}
