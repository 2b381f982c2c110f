using System.Net.Http.Headers;
using InferenceBatch.Http;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>An OpenAI-compatible service. A line for <c>/v1/x</c> is sent to <c>&lt;base address&gt;/x</c>.</summary>
internal sealed class HttpUpstream : IUpstream
{
    /// <summary>Larger responses are not read, because clients must be able to read a line of a result file.</summary>
    public const int MaxAnswerBytes = 64 * 1024 * 1024;

    private const int MaxRequestIdLength = 128;

    /// <summary>The longest pause within a response. It can be short, because a model thinks before the first byte: it is not asked to stream.</summary>
    private static readonly TimeSpan s_maxSilence = TimeSpan.FromMinutes(2);

    private static readonly MediaTypeHeaderValue s_json = new("application/json");

    private readonly LargeAnswers _large = new();
    private readonly HttpMessageInvoker _http;
    private readonly string _baseAddress;
    private readonly string _query;
    private readonly AuthenticationHeaderValue? _authorization;
    private readonly TimeProvider _time;

    /// <param name="baseAddress">As SDKs expect it, including <c>/v1</c>. A query, such as <c>?api-version=…</c>, is added to every request.</param>
    /// <param name="key">Sent as a bearer token; null to send no key.</param>
    /// <param name="time">The clock for dates in <c>retry-after</c>.</param>
    public HttpUpstream(Uri baseAddress, string? key, TimeProvider time)
    {
        _baseAddress = baseAddress.GetLeftPart(UriPartial.Path).TrimEnd('/');
        _query = baseAddress.Query;
        SecretMask.Add(key);
        _authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        _time = time;
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            // A redirect could send the key and the prompt to a host that the user did not select.
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = !Loopback.Is(baseAddress),
            ConnectTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            // llama-server closes an idle connection after 5 s. A connection that is about to be closed must not be used.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(4),
            ActivityHeadersPropagator = null,
        });
    }

    public Task<UpstreamAnswer> SendAsync(string endpoint, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var content = new ReadOnlyMemoryContent(body);
        content.Headers.ContentType = s_json;
        return CallAsync(HttpMethod.Post, WithoutVersion(endpoint), content, cancellationToken);
    }

    public Task<UpstreamAnswer> ListModelsAsync(CancellationToken cancellationToken, bool withKey = true) =>
        CallAsync(HttpMethod.Get, "/models", null, cancellationToken, withKey);

    public void Dispose()
    {
        _http.Dispose();
        _large.Dispose();
    }

    private static string WithoutVersion(string endpoint) => endpoint.StartsWith("/v1/", StringComparison.Ordinal) ? endpoint[3..] : endpoint;

    private async Task<UpstreamAnswer> CallAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken, bool withKey = true)
    {
        using var request = new HttpRequestMessage(method, _baseAddress + path + _query) { Content = content };
        request.Headers.Authorization = withKey ? _authorization : null;
        try
        {
            using HttpResponseMessage response = await _http.SendAsync(request, cancellationToken);
            RefuseRedirect(response);
            (byte[] body, int length, IDisposable? place) = await ReadAsync(response.Content, cancellationToken);
            length = WithoutMark(body, length);
            length = SecretMask.IsInJson(body.AsSpan(0, length)) ? SecretMask.MaskJson(body.AsSpan(0, length)) : length;
            return new UpstreamAnswer((int)response.StatusCode, body, length, place)
            {
                RequestId = RequestIdOf(response),
                RetryAfter = response.IsSuccessStatusCode
                    ? null
                    : RetryRules.ReadRetryAfter(Header(response, "retry-after-ms"), Header(response, "Retry-After"), _time.GetUtcNow()),
                ShouldRetry = RetryRules.ReadShouldRetry(Header(response, "x-should-retry")),
            };
        }
        catch (HttpRequestException exception)
        {
            UpstreamFault fault = exception.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError ? UpstreamFault.Unreachable : UpstreamFault.Broken;
            throw new UpstreamException(fault, $"The connection to the upstream failed: {ConnectionFault.Reason(exception)}.", exception);
        }
        catch (Exception exception) when (exception is IOException or System.Net.Sockets.SocketException && !cancellationToken.IsCancellationRequested)
        {
            throw new UpstreamException(UpstreamFault.Broken, "The connection to the upstream closed before the response was complete.", exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new UpstreamException(UpstreamFault.Unreachable, "The connection to the upstream timed out.", exception);
        }
    }

    private async Task<(byte[] Body, int Length, IDisposable? Place)> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(s_maxSilence, _time);
        using CancellationTokenRegistration cancel =
            cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), silence);
        // Some gateways compress although the request does not allow it. Then the length is that of the compressed bytes.
        long? expected = ContentDecoding.IsEncoded(content) ? null : content.Headers.ContentLength;
        CheckSize(expected ?? 0);
        IDisposable? place = null;
        byte[] buffer = [];
        int length = 0;
        try
        {
            place = expected >= LargeAnswers.Threshold ? await TakePlaceAsync() : null;
            buffer = LargeAnswers.Rent((int)(expected + 1 ?? 16 * 1024));
            using Stream stream = await ContentDecoding.OpenAsync(content, silence.Token);
            int read;
            while ((read = await stream.ReadAsync(buffer.AsMemory(length), silence.Token)) > 0)
            {
                silence.CancelAfter(s_maxSilence);
                length += read;
                CheckSize(length);
                if (length == buffer.Length)
                {
                    place ??= length >= LargeAnswers.Threshold ? await TakePlaceAsync() : null;
                    byte[] larger = LargeAnswers.Rent(length * 2);
                    buffer.CopyTo(larger, 0);
                    LargeAnswers.Return(buffer);
                    buffer = larger;
                }
            }

            return (buffer, length, place);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            GiveBack();
            throw new UpstreamException(
                UpstreamFault.Broken, $"The upstream stopped sending its response: no byte arrived for {s_maxSilence.TotalSeconds:0} s.", exception);
        }
        catch
        {
            GiveBack();
            throw;
        }

        async Task<IDisposable> TakePlaceAsync()
        {
            silence.CancelAfter(Timeout.InfiniteTimeSpan); // The service waits for itself here, not for the upstream.
            IDisposable taken = await _large.TakeAsync(silence.Token);
            silence.CancelAfter(s_maxSilence);
            return taken;
        }

        void GiveBack()
        {
            LargeAnswers.Return(buffer);
            place?.Dispose();
        }
    }

    /// <summary>JSON has no byte order mark (RFC 8259 section 8.1), but some servers send one.</summary>
    private static int WithoutMark(byte[] body, int length)
    {
        if (!body.AsSpan(0, length).StartsWith("\uFEFF"u8))
        {
            return length;
        }

        body.AsSpan(3, length - 3).CopyTo(body);
        return length - 3;
    }

    private static void RefuseRedirect(HttpResponseMessage response)
    {
        if ((int)response.StatusCode is >= 300 and < 400 and int status)
        {
            string where = response.Headers.Location is { IsAbsoluteUri: true, Host.Length: > 0 } location ? $" to {location.Scheme}://{location.Host}" : "";
            throw new UpstreamException(UpstreamFault.Redirect, $"The upstream answers with a redirect ({status}){where}, which the service does not follow. Set --upstream to the final address.");
        }
    }

    private static void CheckSize(long length)
    {
        if (length > MaxAnswerBytes)
        {
            throw new UpstreamException(UpstreamFault.TooLarge, $"The upstream's response is larger than {MaxAnswerBytes >> 20} MB.");
        }
    }

    private static string? RequestIdOf(HttpResponseMessage response) =>
        Header(response, "x-request-id") is { Length: > 0 and <= MaxRequestIdLength } id
        && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':') ? id : null;

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out HeaderStringValues values) ? values.ToString() : null;
}
