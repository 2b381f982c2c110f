using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using InferenceBatch.Server.Storage;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Server.Webhooks;

/// <summary>Sends an event once, according to Standard Webhooks.</summary>
internal sealed class WebhookSender : IDisposable
{
    /// <summary>The time limit for a delivery, from connecting to the response.</summary>
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(10);

    private static readonly MediaTypeHeaderValue s_json = new("application/json");

    private readonly HttpMessageInvoker _http;
    private readonly WebhookTargets _targets;
    private readonly WebhookSignature[] _signatures;
    private readonly TimeProvider _time;

    public WebhookSender(WebhookSettings settings, WebhookTargets targets, TimeProvider time)
    {
        _targets = targets;
        _time = time;
        _signatures = [.. settings.Secrets.Select(secret => new WebhookSignature(secret, time))];
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            // Only the status of a response is used.
            AllowAutoRedirect = false,
            UseCookies = false,
            MaxResponseHeadersLength = 16,
            MaxResponseDrainSize = 16 * 1024,
            // With a proxy, the address could not be checked.
            UseProxy = false,
            ConnectCallback = targets.ConnectAsync,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
            ActivityHeadersPropagator = null,
        });
    }

    /// <summary>Sends an event.</summary>
    /// <exception cref="OperationCanceledException">The delivery was stopped; the receiver may have accepted the event.</exception>
    public async Task<DeliveryOutcome> SendAsync(EventRecord item, CancellationToken stop)
    {
        if (_targets.ProblemOf(item.Url) is { } problem)
        {
            return DeliveryOutcome.Failed(problem);
        }

        using var timeout = new CancellationTokenSource(s_timeout, _time);
        using CancellationTokenRegistration stopping = stop.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), timeout);
        using HttpRequestMessage request = Request(item);
        try
        {
            using HttpResponseMessage response = await _http.SendAsync(request, timeout.Token);
            return response.IsSuccessStatusCode ? DeliveryOutcome.Accepted
                : new DeliveryOutcome(response.StatusCode == HttpStatusCode.Gone, $"status {(int)response.StatusCode}");
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return DeliveryOutcome.Failed($"no response within {s_timeout.TotalSeconds:0} s");
        }
        catch (HttpRequestException exception)
        {
            return DeliveryOutcome.Failed(exception.InnerException is WebhookTargetException refused
                ? refused.Message : $"the connection failed ({exception.HttpRequestError})");
        }
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Request(EventRecord item)
    {
        DateTimeOffset now = _time.GetUtcNow();
        var request = new HttpRequestMessage(HttpMethod.Post, item.Url) { Content = new ByteArrayContent(item.Body) };
        request.Content.Headers.ContentType = s_json;
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("inference-batch", null));
        request.Headers.Add("webhook-id", item.Id);
        request.Headers.Add("webhook-timestamp", now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        if (_signatures.Length > 0)
        {
            request.Headers.Add("webhook-signature", string.Join(' ', _signatures.Select(signature => signature.Sign(item.Id, now, item.Body))));
        }

        return request;
    }
}
