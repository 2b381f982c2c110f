using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Model;

namespace InferenceBatch.Commands;

/// <summary>Wait-Batch: waits for all batches from the pipeline together, and writes each as it ends.</summary>
[Cmdlet(VerbsLifecycle.Wait, "Batch", DefaultParameterSetName = BatchSet)]
[OutputType(typeof(Batch))]
public sealed class WaitBatchCommand : BatchInputCommand
{
    private readonly List<BatchInput> _batches = [];

    /// <summary>The maximum time to wait for all batches, in seconds. Null for no limit.</summary>
    [Parameter]
    [Alias("TimeoutSec")]
    [SecondsTransformation]
    public double? Timeout { get; set; }

    /// <summary>Returns after the first batch has ended.</summary>
    [Parameter]
    public SwitchParameter Any { get; set; }

    /// <summary>The time between two polls of a batch, in seconds. If not given, it grows from under a second to a minute.</summary>
    [Parameter]
    [Alias("PollingIntervalSec")]
    [SecondsTransformation]
    [ValidateRange(0.05, 86400.0)]
    public double? PollingInterval { get; set; }

    /// <summary>
    /// Where to listen for webhooks of the service, such as http://127.0.0.1:8123/some-secret/, behind a TLS proxy or tunnel. After an
    /// event, the batch is polled at once. Regular polling continues in case events are lost.
    /// </summary>
    [Parameter]
    [ValidateNotNull]
    public Uri? WebhookPrefix { get; set; }

    /// <summary>The secret of the signatures (whsec_…), as SecureString or text. Without it, events are not verified.</summary>
    [Parameter]
    [SecretTransformation]
    [AllowNull]
    public SecureString? WebhookSecret { get; set; }

    protected override void ProcessRecord()
    {
        foreach (BatchInput batch in Inputs)
        {
            _batches.Add(batch with { Connection = Resolve(batch.Known) });
        }
    }

    protected override void EndProcessing()
    {
        if (_batches.Count == 0)
        {
            return;
        }

        var wait = new BatchWait(this, Timeout, PollingInterval) { Any = Any, WebhookPrefix = WebhookPrefix, WebhookSecret = WebhookSecret };
        wait.RunAndResume(() => RunOrThrow(
            async (pump, token) =>
            {
                await foreach (Batch batch in wait.WaitAsync(_batches, pump, token).ConfigureAwait(false))
                {
                    await pump.WriteObjectAsync(batch).ConfigureAwait(false);
                    ReportFailure(pump, batch);
                }

                return true;
            },
            _batches));
    }
}
