using System.Management.Automation;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Commands;

/// <summary>
/// Receive-BatchWebhook: listens for the webhooks of a service, behind a TLS proxy or tunnel, and writes each event once,
/// until Ctrl+C, -Timeout or -First.
/// </summary>
[Cmdlet(VerbsCommunications.Receive, "BatchWebhook")]
[OutputType(typeof(WebhookEvent))]
public sealed class ReceiveBatchWebhookCommand : BatchCommand
{
    /// <summary>Where to listen, such as http://127.0.0.1:8123/some-secret/. Includes all paths below it.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [Alias("WebhookPrefix")]
    [ValidateNotNull]
    public Uri? Prefix { get; set; }

    /// <summary>The secret of the signatures (whsec_…), as SecureString or text. Without it, events are not verified.</summary>
    [Parameter]
    [Alias("WebhookSecret")]
    [SecretTransformation]
    [AllowNull]
    public SecureString? Secret { get; set; }

    /// <summary>The time to listen, in seconds. Null for no limit.</summary>
    [Parameter]
    [Alias("TimeoutSec")]
    [SecondsTransformation]
    public double? Timeout { get; set; }

    /// <summary>Ends after this number of events.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? First { get; set; }

    protected override void EndProcessing() => RunOrThrow(ReceiveAsync, Prefix);

    private async Task ReceiveAsync(PipelinePump pump, CancellationToken cancellationToken)
    {
        WebhookListener listener = WebhookSource.Listen(Prefix!, Secret, pump);
        await using (listener.ConfigureAwait(false))
        {
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            // CancelAfter accepts 49 days at most.
            over.CancelAfter(TimeLimit.Of(Timeout) is { TotalDays: < 49 } limit ? limit : System.Threading.Timeout.InfiniteTimeSpan);
            int left = First ?? int.MaxValue;
            try
            {
                await foreach (WebhookEvent received in listener.ReadAllAsync(over.Token).ConfigureAwait(false))
                {
                    await pump.WriteObjectAsync(received).ConfigureAwait(false);
                    if (--left == 0)
                    {
                        break;
                    }
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // The time is over.
            }
        }
    }
}
