using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using InferenceBatch.Http;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Sends calls with the key, follows redirects (to other hosts without the key), retries when a retry may help, and throws
/// <see cref="ServiceException"/> for every failure of a call.
/// </summary>
internal sealed class HttpCaller(ServiceConnection connection, HttpMessageInvoker http, TimeProvider time, Action<string>? warn)
{
    private const int MaxRedirects = 5;

    /// <summary>The maximum number of bytes that are read of a response, after decoding.</summary>
    private const int MaxBody = 64 * 1024 * 1024;

    /// <summary>
    /// Larger request bodies are sent only after the service agrees (Expect: 100-continue, RFC 9110 section 10.1.1), so that
    /// a wrong key is reported before 200 MB are sent, and not as a broken pipe.
    /// </summary>
    private const int ExpectContinueThreshold = 1024 * 1024;

    /// <summary>An attempt is abandoned if no data moves for this time.</summary>
    private static readonly TimeSpan s_inactivityTimeout = TimeSpan.FromSeconds(100);

    private static readonly string s_userAgent = "InferenceBatch/" + typeof(HttpCaller).Assembly.GetName().Version!.ToString(3);

    private static readonly Lazy<HttpMessageInvoker> s_shared = new(() => new HttpMessageInvoker(
        new DirectLoopbackHandler(connectTimeout: TimeSpan.FromSeconds(30), connectionLifetime: TimeSpan.FromMinutes(5))));

    private readonly ErrorTranslator _errors = new(connection, time);

    /// <summary>The connections of the process. They use the proxies and certificates of the system, but no proxy for this machine.</summary>
    public static HttpMessageInvoker Shared => s_shared.Value;

    /// <summary>Makes a call and reads its whole response.</summary>
    public Task<T> CallAsync<T>(ServiceCall call, RetryPolicy policy, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken) =>
        TryAsync(call, policy, (response, token) => ReadAsync(response, read, token), cancellationToken);

    /// <summary>Makes a call and returns its response when the headers have arrived.</summary>
    public Task<HttpResponseMessage> OpenAsync(ServiceCall call, RetryPolicy policy, CancellationToken cancellationToken) =>
        TryAsync(call, policy, (response, _) => Task.FromResult(response), cancellationToken);

    private async Task<T> TryAsync<T>(
        ServiceCall call, RetryPolicy policy, Func<HttpResponseMessage, CancellationToken, Task<T>> use, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            ServiceException problem;
            Uri usedUri = connection.BaseUri;
            try
            {
                return await TryOnceAsync(call, use, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception)
            {
                problem = exception;
            }

            if (!call.IsOptionalRoute && IsNotBatchApi(problem) && connection.SwitchToAlternate())
            {
                warn?.Invoke(Messages.Text("Warning.OtherAddress", connection.BaseUri));
                attempt--;
                continue;
            }

            if (IsNotBatchApi(problem) && connection.BaseUri != usedUri)
            {
                attempt--;
                continue; // Another call switched to the alternate address in the meantime.
            }

            if (!problem.IsTransient || (call.IsNotIdempotent && problem.IsAmbiguous) || attempt >= policy.MaxAttempts
                || problem.RetryAfter > RetryPolicy.LongestPause)
            {
                throw _errors.MayBeUnknownBatch(call, problem) && attempt > 1 ? ErrorTranslator.AsBatchNotFound(problem) : problem;
            }

            await Task.Delay(RetryPolicy.DelayAfter(attempt, problem.RetryAfter), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<T> TryOnceAsync<T>(
        ServiceCall call, Func<HttpResponseMessage, CancellationToken, Task<T>> use, CancellationToken cancellationToken)
    {
        using var inactivity = new CancellationTokenSource(s_inactivityTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, inactivity.Token);
        HttpResponseMessage? response = null;
        try
        {
            response = await SendAsync(call, () => inactivity.CancelAfter(s_inactivityTimeout), either.Token).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                throw await _errors.ReadAsync(call, response, either.Token).ConfigureAwait(false);
            }

            if (ContentDecoding.UnknownIn(response.Content) is { } coding)
            {
                throw _errors.Undecodable(response, coding);
            }

            inactivity.CancelAfter(s_inactivityTimeout);
            return await use(response, either.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            bool wasAccepted = response is { IsSuccessStatusCode: true, Content.Headers.ContentType.MediaType: "application/json" };
            response?.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            bool isConnectionFailure = exception is HttpRequestException or IOException or SocketException or OperationCanceledException;
            if (!isConnectionFailure || exception is FileNotFoundException)
            {
                throw;
            }

            // The HTTP client wraps the exceptions of request bodies.
            if (FindFileError(exception) is { } fileError)
            {
                throw fileError;
            }

            throw _errors.Unreachable(exception, wasAccepted, s_inactivityTimeout);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(ServiceCall call, Action onActivity, CancellationToken cancellationToken)
    {
        Uri baseUri = connection.BaseUri;
        var address = new Uri($"{baseUri.AbsoluteUri.TrimEnd('/')}/{call.Path}");
        HttpMethod method = call.Method;
        bool expectsContinue = true;
        for (int redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.TryAddWithoutValidation("User-Agent", s_userAgent);
            if (IsSameOrigin(address, baseUri))
            {
                connection.Authorize(request.Headers);
            }

            if (!request.Headers.Contains("Accept-Encoding"))
            {
                request.Headers.TryAddWithoutValidation("Accept-Encoding", ContentDecoding.Identity);
            }

            if (call.RangeStart > 0)
            {
                request.Headers.TryAddWithoutValidation("Range", $"bytes={call.RangeStart}-");
            }

            request.Content = method == call.Method ? call.Content?.Invoke(onActivity) : null;
            expectsContinue = expectsContinue && request.Content?.Headers.ContentLength > ExpectContinueThreshold;
            request.Headers.ExpectContinue = expectsContinue ? true : null;
            HttpResponseMessage response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (expectsContinue && response.StatusCode == HttpStatusCode.ExpectationFailed)
            {
                response.Dispose();
                expectsContinue = false;
                continue;
            }

            if (IsSameOrigin(address, baseUri))
            {
                connection.Instance = ServiceInstance.Of(response.Headers).Id;
            }

            if (redirects == MaxRedirects || Redirect(method, address, response) is not { } next)
            {
                return response;
            }

            response.Dispose();
            address = next;
        }
    }

    /// <summary>Returns the target of a redirect that is followed. A GET follows every redirect; a call with a body only those that keep the method and the origin.</summary>
    private static Uri? Redirect(HttpMethod method, Uri from, HttpResponseMessage response)
    {
        if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
        {
            return null;
        }

        var to = new Uri(from, location);
        bool follows = method == HttpMethod.Get || ((int)response.StatusCode is 307 or 308 && IsSameOrigin(from, to));
        return follows && (to.Scheme == Uri.UriSchemeHttps || to.Scheme == from.Scheme) ? to : null;
    }

    private static bool IsSameOrigin(Uri address, Uri other) =>
        address.Scheme == other.Scheme && address.Port == other.Port && address.Host.Equals(other.Host, StringComparison.OrdinalIgnoreCase);

    private async Task<T> ReadAsync<T>(HttpResponseMessage response, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken)
    {
        using (response)
        {
            ReadOnlyMemory<byte> body = await ResponseBody.ReadAsync(response, MaxBody, cancellationToken).ConfigureAwait(false);
            try
            {
                return read(body);
            }
            catch (JsonException exception)
            {
                throw new ServiceException(
                    ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.OtherShape", connection.BaseUri, exception.Message), exception)
                {
                    WasAccepted = ResponseBody.LooksLikeJson(body.Span),
                };
            }
        }
    }

    /// <summary>Whether the response came from a server without the Batch API.</summary>
    private static bool IsNotBatchApi(ServiceException problem) =>
        problem is { Kind: ServiceErrorKind.NotSupportedByService, Error: null, StatusCode: HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed };

    private static IOException? FindFileError(Exception? exception) => exception switch
    {
        null => null,
        FileChangedException or FileUnreadableException => (IOException)exception,
        _ => FindFileError(exception.InnerException),
    };
}
