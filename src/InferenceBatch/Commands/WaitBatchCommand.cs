using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Model;

namespace InferenceBatch.Commands;

/// <summary>Wait-Batch: waits for all batches that are piped in, together, and writes each as it ends.</summary>
[Cmdlet(VerbsLifecycle.Wait, "Batch", DefaultParameterSetName = BatchSet)]
[OutputType(typeof(Batch))]
public sealed class WaitBatchCommand : BatchInputCommand
{
    private readonly List<BatchInput> _batches = [];

    /// <summary>Seconds to wait in all; as long as it takes when not given.</summary>
    [Parameter]
    [Alias("TimeoutSec")]
    [SecondsTransformation]
    public double? Timeout { get; set; }

    /// <summary>End with the first batch that ends.</summary>
    [Parameter]
    public SwitchParameter Any { get; set; }

    /// <summary>Seconds between two looks at a batch; else from under a second growing to a minute.</summary>
    [Parameter]
    [Alias("PollingIntervalSec")]
    [SecondsTransformation]
    [ValidateRange(0.05, 86400.0)]
    public double? PollingInterval { get; set; }

    /// <summary>
    /// Listen for the service's webhooks too, such as on http://127.0.0.1:8123/some-secret/, behind a TLS proxy or tunnel:
    /// each is a reason to look now. Looking now and then goes on as the safety net.
    /// </summary>
    [Parameter]
    [ValidateNotNull]
    public Uri? WebhookPrefix { get; set; }

    /// <summary>The secret the webhooks are signed with (whsec_…), as SecureString or text; without it all are heeded.</summary>
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
