using System.Collections;
using System.Management.Automation;
using System.Net;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Pipeline;

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
    [ValidateNotNull]
    public SecureString? ApiKey { get; set; }

    /// <summary>Where a call for an object goes: what was given with the command, else where the object came from, else the session's default, else the environment's.</summary>
    private protected ServiceConnection Resolve(object? item = null)
    {
        if (Connection is not null)
        {
            return Connection;
        }

        return BaseUri is null && ApiKey is null && Session.OriginOf(item) is { } origin ? origin : Resolve(null, null);
    }

    /// <summary>Resolves what was given; an address or provider that is none ends the command.</summary>
    private protected ServiceConnection Resolve(string? provider, Hashtable? headers)
    {
        try
        {
            var resolver = new ConnectionResolver(Environment.GetEnvironmentVariable);
            return Session.Unify(resolver.Resolve(BaseUri, PlainText(ApiKey), provider, Session.Default, MetadataReader.Read(headers)));
        }
        catch (Exception exception) when (exception is ArgumentException or ServiceException)
        {
            ThrowTerminatingError(ErrorRecords.From(exception, provider ?? (object?)BaseUri));
            throw;
        }
    }

    private protected static BatchClient ClientFor(ServiceConnection connection, PipelinePump pump) =>
        new(connection, warn: pump.WriteWarning);

    /// <summary>Says once, as an error, why a batch failed: the service's own line errors.</summary>
    private protected static void ReportFailure(PipelinePump pump, Batch batch)
    {
        if (batch.Status == BatchStatus.Failed && Session.IsFirstReport(batch))
        {
            pump.WriteError(ErrorRecords.BatchFailed(batch));
        }
    }

    private protected static ProgressReporter Progress(PipelinePump pump, string activity) => new(activity, pump.WriteProgress);

    private static string? PlainText(SecureString? secret) => secret is null ? null : new NetworkCredential("", secret).Password;
}
