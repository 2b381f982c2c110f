using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Cmdlets;

/// <summary>Opens a <see cref="WebhookListener"/> from what a person gives.</summary>
internal static class WebhookSource
{
    /// <param name="prefix">Where to listen.</param>
    /// <param name="secret">What the events are signed with; null or empty takes all.</param>
    /// <param name="pump">Told where it listens.</param>
    /// <exception cref="ArgumentException">No prefix, or no secret, of the kind that is wanted.</exception>
    /// <exception cref="WebhookListenException">The port is in use or must not be used.</exception>
    public static WebhookListener Listen(Uri prefix, SecureString? secret, PipelinePump pump)
    {
        WebhookSignature? signature = SecretText.NotEmpty(secret) is { } text ? new WebhookSignature(text) : null;
        WebhookListener listener = WebhookListener.Start(prefix, signature);
        pump.WriteVerbose(Messages.Text(signature is null ? "Verbose.ListeningUnverified" : "Verbose.Listening", listener.Prefix.Authority));
        return listener;
    }
}
