using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Cmdlets;

/// <summary>Opens a <see cref="WebhookListener"/> for the values of the parameters.</summary>
internal static class WebhookSource
{
    /// <param name="prefix">Where to listen.</param>
    /// <param name="secret">The secret of the signatures; null or empty accepts events without verification.</param>
    /// <param name="pump">Receives a verbose message with the address.</param>
    /// <exception cref="ArgumentException">The prefix or the secret is not valid.</exception>
    /// <exception cref="WebhookListenException">The port is in use or must not be used.</exception>
    public static WebhookListener Listen(Uri prefix, SecureString? secret, PipelinePump pump)
    {
        WebhookSignature? signature = SecretText.NotEmpty(secret) is { } text ? new WebhookSignature(text) : null;
        WebhookListener listener = WebhookListener.Start(prefix, signature);
        pump.WriteVerbose(Messages.Text(signature is null ? "Verbose.ListeningUnverified" : "Verbose.Listening", listener.Prefix.Authority));
        return listener;
    }
}
