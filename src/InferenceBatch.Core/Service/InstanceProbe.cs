namespace InferenceBatch.Service;

/// <summary>Asks what answers at an address: once, and without the key, for it is not known yet who is there.</summary>
internal sealed class InstanceProbe(Uri baseUri, HttpMessageInvoker http, TimeProvider time)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>GET /healthz, which needs no key; null where nothing answers in time.</summary>
    public async Task<ServiceInstance?> AskAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(s_patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{baseUri.AbsoluteUri.TrimEnd('/')}/healthz");
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, either.Token).ConfigureAwait(false);
            return ServiceInstance.Of(response.Headers);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return null;
        }
    }
}
