using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>Sends calls: with the key, over redirects without it to strangers, again when that may help, and turns what goes wrong into <see cref="ServiceException"/>.</summary>
internal sealed class HttpCaller(ServiceConnection connection, HttpMessageInvoker http, TimeProvider time, Action<string>? warn)
{
    private const int MaxRedirects = 5;

    /// <summary>The bytes that are read of an answer, decoded.</summary>
    private const int MaxAnswer = 64 * 1024 * 1024;

    /// <summary>The same of an error.</summary>
    private const int MaxError = 64 * 1024;

    /// <summary>
    /// Bodies larger than this wait for the service's leave (Expect: 100-continue, RFC 9110 section 10.1.1), so that a
    /// wrong key is heard of before 200 MB were sent, and not as a broken pipe.
    /// </summary>
    private const int AskFirstFrom = 1024 * 1024;

    /// <summary>How long nothing may move before a try is given up.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(100);

    private static readonly string s_userAgent = "InferenceBatch/" + typeof(HttpCaller).Assembly.GetName().Version!.ToString(3);

    private static readonly Lazy<HttpMessageInvoker> s_shared = new(() => new HttpMessageInvoker(
        new DirectLoopbackHandler(connectTimeout: TimeSpan.FromSeconds(30), connectionLifetime: TimeSpan.FromMinutes(5))));

    /// <summary>The connections of the process; proxies and certificates are the system's, but no proxy is asked for this machine.</summary>
    public static HttpMessageInvoker Shared => s_shared.Value;

    /// <summary>Makes a call and reads its whole answer.</summary>
    public Task<T> CallAsync<T>(ServiceCall call, RetryPolicy policy, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken) =>
        TryAsync(call, policy, (response, token) => ReadAsync(response, read, token), cancellationToken);

    /// <summary>Makes a call and hands over its answer once the headers are there.</summary>
    public Task<HttpResponseMessage> OpenAsync(ServiceCall call, RetryPolicy policy, CancellationToken cancellationToken) =>
        TryAsync(call, policy, (response, _) => Task.FromResult(response), cancellationToken);

    private async Task<T> TryAsync<T>(
        ServiceCall call, RetryPolicy policy, Func<HttpResponseMessage, CancellationToken, Task<T>> use, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            ServiceException problem;
            Uri asked = connection.BaseUri;
            try
            {
                return await TryOnceAsync(call, use, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception)
            {
                problem = exception;
            }

            if (!call.IsAside && IsElsewhere(problem) && connection.TurnToAlternate())
            {
                warn?.Invoke(Messages.Text("Warning.OtherAddress", connection.BaseUri));
                attempt--;
                continue;
            }

            if (IsElsewhere(problem) && connection.BaseUri != asked)
            {
                attempt--;
                continue; // Another call turned there meanwhile.
            }

            if (!problem.IsTransient || (call.IsOnceOnly && problem.IsAmbiguous) || attempt >= policy.MaxAttempts
                || problem.RetryAfter > RetryPolicy.LongestPause)
            {
                throw IsUnknownBatch(call, problem) && attempt > 1 ? NotFound(problem) : problem;
            }

            await Task.Delay(RetryPolicy.DelayAfter(attempt, problem.RetryAfter), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<T> TryOnceAsync<T>(
        ServiceCall call, Func<HttpResponseMessage, CancellationToken, Task<T>> use, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(s_patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        HttpResponseMessage? response = null;
        try
        {
            response = await SendAsync(call, () => patience.CancelAfter(s_patience), either.Token).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                throw await RefusalAsync(call, response, either.Token).ConfigureAwait(false);
            }

            if (ContentDecoding.UnknownIn(response.Content) is { } coding)
            {
                throw Undecodable(response, coding);
            }

            patience.CancelAfter(s_patience);
            return await use(response, either.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            bool wasAccepted = response is { IsSuccessStatusCode: true, Content.Headers.ContentType.MediaType: "application/json" };
            response?.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            bool isOfTheCall = exception is HttpRequestException or IOException or SocketException or OperationCanceledException;
            if (!isOfTheCall || exception is FileNotFoundException)
            {
                throw;
            }

            // The client wraps whatever a body throws.
            if (FindFault(exception) is { } fault)
            {
                throw fault;
            }

            throw Unreachable(exception, wasAccepted);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(ServiceCall call, Action alive, CancellationToken cancellationToken)
    {
        Uri home = connection.BaseUri;
        var address = new Uri($"{home.AbsoluteUri.TrimEnd('/')}/{call.Path}");
        HttpMethod method = call.Method;
        bool asksFirst = true;
        for (int redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.TryAddWithoutValidation("User-Agent", s_userAgent);
            if (SameOrigin(address, home))
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

            request.Content = method == call.Method ? call.Content?.Invoke(alive) : null;
            asksFirst = asksFirst && request.Content?.Headers.ContentLength > AskFirstFrom;
            request.Headers.ExpectContinue = asksFirst ? true : null;
            HttpResponseMessage response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (asksFirst && response.StatusCode == HttpStatusCode.ExpectationFailed)
            {
                response.Dispose();
                asksFirst = false;
                continue;
            }

            if (SameOrigin(address, home))
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

    /// <summary>A GET follows any redirect; a call with a body only those that keep its method, and only on its own host.</summary>
    private static Uri? Redirect(HttpMethod method, Uri from, HttpResponseMessage response)
    {
        if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
        {
            return null;
        }

        var to = new Uri(from, location);
        bool follows = method == HttpMethod.Get || ((int)response.StatusCode is 307 or 308 && SameOrigin(from, to));
        return follows && (to.Scheme == Uri.UriSchemeHttps || to.Scheme == from.Scheme) ? to : null;
    }

    private static bool SameOrigin(Uri one, Uri other) =>
        one.Scheme == other.Scheme && one.Port == other.Port && one.Host.Equals(other.Host, StringComparison.OrdinalIgnoreCase);

    private async Task<T> ReadAsync<T>(HttpResponseMessage response, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken)
    {
        using (response)
        {
            ReadOnlyMemory<byte> body = await ReadBodyAsync(response, MaxAnswer, cancellationToken).ConfigureAwait(false);
            try
            {
                return read(body);
            }
            catch (JsonException exception)
            {
                throw new ServiceException(
                    ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.OtherShape", connection.BaseUri, exception.Message), exception)
                {
                    WasAccepted = LooksLikeJson(body.Span),
                };
            }
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpResponseMessage response, int limit, CancellationToken cancellationToken)
    {
        Stream stream = await ContentDecoding.OpenAsync(response.Content, cancellationToken).ConfigureAwait(false);
        var body = new MemoryStream();
        byte[] buffer = new byte[16 * 1024];
        int read;
        while (body.Length < limit && (read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            body.Write(buffer, 0, read);
        }

        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }

    private async Task<ServiceException> RefusalAsync(ServiceCall call, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        ServiceError? error = null;
        bool isJson = false;
        try
        {
            ReadOnlyMemory<byte> body = ContentDecoding.UnknownIn(response.Content) is not null ? default
                : await ReadBodyAsync(response, MaxError, cancellationToken).ConfigureAwait(false);
            error = ErrorReader.ReadBody(body);
            isJson = error is not null || LooksLikeJson(body.Span);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            // The status alone has to do.
        }

        HttpStatusCode status = response.StatusCode;
        ServiceErrorKind kind = (int)status switch
        {
            401 => ServiceErrorKind.Unauthorized,
            403 => ServiceErrorKind.PermissionDenied,
            404 when isJson => call.NotFound,
            404 or 405 or 501 => ServiceErrorKind.NotSupportedByService,
            409 when call.IsCancel => ServiceErrorKind.BatchNotCancellable,
            429 => ServiceErrorKind.RateLimited,
            400 when error?.Code == "file_not_found" => ServiceErrorKind.FileNotFound,
            408 or >= 500 => ServiceErrorKind.ServiceUnavailable,
            _ => ServiceErrorKind.ServiceRejected,
        };
        string? requestId = SecretMask.Of(response.Headers.TryGetValues("x-request-id", out IEnumerable<string>? ids) ? ids.FirstOrDefault() : null);
        TimeSpan? retryAfter = RetryPolicy.ReadRetryAfter(response.Headers, time.GetUtcNow());
        return new ServiceException(kind, Describe(status, error, requestId, Advice(kind, error?.Code, retryAfter)))
        {
            StatusCode = status,
            Error = error,
            RequestId = requestId,
            IsTransient = RetryPolicy.IsTransient(status, response.Headers, error?.Code) && kind != ServiceErrorKind.BatchNotCancellable,
            RetryAfter = retryAfter,
        };
    }

    private string Describe(HttpStatusCode status, ServiceError? error, string? requestId, string advice)
    {
        var text = new StringBuilder(Messages.Text("Answer", connection.BaseUri, (int)status));
        if (error is not null)
        {
            bool hasBoth = error.Message.Length > 0 && error.Code is not "error";
            text.Append(": ").Append(hasBoth ? $"{error.Message.TrimEnd('.')} ({error.Code})" : error.Message.Length > 0 ? error.Message : error.Code);
        }

        text.Append(text[^1] is '.' or '!' or '?' ? " " : ". ");
        if (requestId is not null)
        {
            text.Append(Messages.Text("Answer.RequestId", requestId)).Append(' ');
        }

        return text.Append(advice).ToString().TrimEnd();
    }

    private static string Advice(ServiceErrorKind kind, string? code, TimeSpan? retryAfter) => kind switch
    {
        ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable when RetryRules.IsFinal(code) => Messages.Text("RateLimited.FinalAdvice"),
        ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable when retryAfter > RetryPolicy.LongestPause =>
            Messages.Text("RateLimited.LongPause", Math.Ceiling(retryAfter.Value.TotalSeconds)),
        ServiceErrorKind.Unauthorized => Messages.Text("Unauthorized.Advice"),
        ServiceErrorKind.PermissionDenied => Messages.Text("PermissionDenied.Advice"),
        ServiceErrorKind.RateLimited => Messages.Text("RateLimited.Advice"),
        ServiceErrorKind.ServiceUnavailable => Messages.Text("ServiceUnavailable.Advice"),
        ServiceErrorKind.NotSupportedByService => Messages.Text("NotSupportedByService.Advice"),
        ServiceErrorKind.BatchNotCancellable => Messages.Text("BatchNotCancellable.Advice"),
        ServiceErrorKind.BatchNotFound => Messages.Text("BatchNotFound.Advice"),
        ServiceErrorKind.FileNotFound => Messages.Text("FileNotFound.Advice"),
        _ => "",
    };

    private ServiceException Unreachable(Exception cause, bool wasAccepted) => new(
        ServiceErrorKind.ServiceUnavailable,
        cause is OperationCanceledException && !ConnectionFault.IsConnectTimeout(cause) ? Messages.Text("ServiceUnavailable.Silent", connection.BaseUri, s_patience.TotalSeconds)
            : Messages.Text("ServiceUnavailable.Unreachable", connection.BaseUri, ConnectionFault.Describe(cause, connection.BaseUri), LocalAdvice()),
        cause)
    {
        WasAccepted = wasAccepted,
        NeverSent = ConnectionFault.IsConnectTimeout(cause) || cause is HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError,
        },
    };

    private ServiceException Undecodable(HttpResponseMessage response, string coding) => new(
        ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.Coding", connection.BaseUri, coding))
    {
        StatusCode = response.StatusCode,
        WasAccepted = true,
        IsTransient = false,
    };

    private string LocalAdvice() => connection.Profile == ServiceProfile.Local
        ? Messages.Text("ServiceUnavailable.LocalService") : "";

    private bool IsUnknownBatch(ServiceCall call, ServiceException problem) =>
        connection.Profile.UnknownBatchIs500 && call.NotFound == ServiceErrorKind.BatchNotFound
        && problem.StatusCode == HttpStatusCode.InternalServerError;

    private static ServiceException NotFound(ServiceException problem) => new(
        ServiceErrorKind.BatchNotFound,
        Messages.Text("BatchNotFound.As500", problem.Message), problem)
    {
        StatusCode = problem.StatusCode,
        Error = problem.Error,
        RequestId = problem.RequestId,
    };

    /// <summary>Whether the answer came from something that is not the Batch API at all.</summary>
    private static bool IsElsewhere(ServiceException problem) =>
        problem is { Kind: ServiceErrorKind.NotSupportedByService, Error: null, StatusCode: HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed };

    private static bool LooksLikeJson(ReadOnlySpan<byte> body) =>
        body.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];

    private static IOException? FindFault(Exception? exception) => exception switch
    {
        null => null,
        FileChangedException or FileUnreadableException => (IOException)exception,
        _ => FindFault(exception.InnerException),
    };
}
