using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using InferenceBatch.Model;

namespace InferenceBatch.Webhooks;

/// <summary>
/// Listens for webhooks on a prefix such as <c>http://127.0.0.1:8123/secret/</c>, behind a proxy or tunnel with the
/// certificate. Responds with 204 to accepted events (also to a duplicate <c>webhook-id</c>, which is returned once), 401 to a
/// wrong signature, 404 outside the prefix, 405 to methods other than POST, 413 to a body over 1 MiB, 408 to a request that
/// takes longer than 10 seconds, and 503 if the queue of events is full.
/// </summary>
/// <remarks>
/// Uses plain sockets, because HttpListener requires administrator rights on Windows and has no limits on other systems. One
/// request per connection, and at most 32 connections at the same time; others wait.
/// </remarks>
public sealed class WebhookListener : IAsyncDisposable
{
    /// <summary>The maximum length of a body in bytes.</summary>
    public const int MaxBody = 1024 * 1024;

    private const int MaxConnections = 32;
    private const int MaxQueuedEvents = 1024;
    private const int MaxKnownIds = 10_000;
    private static readonly TimeSpan s_requestTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_closeTimeout = TimeSpan.FromSeconds(1);

    private readonly TcpListener _listener;
    private readonly byte[] _path;
    private readonly WebhookSignature? _signature;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _slots = new(MaxConnections);
    private readonly Channel<WebhookEvent> _events = Channel.CreateBounded<WebhookEvent>(MaxQueuedEvents);
    private readonly HashSet<string> _knownIds = [];
    private readonly Queue<string> _knownIdOrder = [];
    private readonly Task _accepting;

    private WebhookListener(TcpListener listener, Uri prefix, WebhookSignature? signature, TimeProvider? time)
    {
        _listener = listener;
        Prefix = new UriBuilder(prefix) { Port = ((IPEndPoint)listener.LocalEndpoint).Port }.Uri;
        _path = Encoding.Latin1.GetBytes(prefix.AbsolutePath.TrimEnd('/'));
        _signature = signature;
        _time = time ?? TimeProvider.System;
        _accepting = AcceptAsync();
    }

    /// <summary>The prefix, with the actual port if port 0 was requested.</summary>
    public Uri Prefix { get; }

    /// <summary>Starts to listen.</summary>
    /// <param name="prefix">An http address of this machine. Paths below it are accepted too. Port 0 selects a free port.</param>
    /// <param name="signature">Verifies the signatures of events; null accepts all events.</param>
    /// <param name="time">The clock; the system clock if null.</param>
    /// <exception cref="ArgumentException">The prefix is not valid.</exception>
    /// <exception cref="WebhookListenException">The port is in use, or this user may not use it.</exception>
    public static WebhookListener Start(Uri prefix, WebhookSignature? signature = null, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (!prefix.IsAbsoluteUri || prefix.Scheme != Uri.UriSchemeHttp)
        {
            throw new ArgumentException(Messages.Text("InvalidValue.WebhookPrefix", prefix), nameof(prefix));
        }

        if ((prefix.IdnHost == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(prefix.IdnHost, out IPAddress? parsed) ? parsed : null) is not { } address)
        {
            throw new ArgumentException(Messages.Text("InvalidValue.WebhookHost", prefix.Host), nameof(prefix));
        }

        var listener = new TcpListener(address, prefix.Port);
        try
        {
            listener.ExclusiveAddressUse = true;
            listener.Start();
        }
        catch (SocketException exception)
        {
            listener.Dispose();
            string reason = exception.SocketErrorCode == SocketError.AddressAlreadyInUse ? Messages.Text("WebhookListenFailed.PortInUse") : exception.Message;
            throw new WebhookListenException(Messages.Text("WebhookListenFailed", address, prefix.Port, reason), exception);
        }

        return new WebhookListener(listener, prefix, signature, time);
    }

    /// <summary>Returns the events as they arrive, each to one reader. Ends when the listener is disposed.</summary>
    public IAsyncEnumerable<WebhookEvent> ReadAllAsync(CancellationToken cancellationToken = default) =>
        _events.Reader.ReadAllAsync(cancellationToken);

    /// <summary>Stops listening and frees the port. Aborts requests that are not accepted yet, and responds to accepted ones.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _accepting.ConfigureAwait(false);
        _events.Writer.TryComplete();
        _slots.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        bool hasSlot = false;
        try
        {
            while (true)
            {
                await _slots.WaitAsync(_stop.Token).ConfigureAwait(false);
                hasSlot = true;
                Socket socket;
                try
                {
                    socket = await _listener.AcceptSocketAsync(_stop.Token).ConfigureAwait(false);
                }
                catch (SocketException) when (!_stop.IsCancellationRequested)
                {
                    // The sender closed the connection before it was accepted.
                    _slots.Release();
                    hasSlot = false;
                    continue;
                }

                hasSlot = false;
                _ = ServeAndReleaseAsync(socket);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped: wait below until all requests in flight have ended.
        }

        for (int free = hasSlot ? 1 : 0; free < MaxConnections; free++)
        {
            await _slots.WaitAsync().ConfigureAwait(false);
        }
    }

    private async Task ServeAndReleaseAsync(Socket socket)
    {
        using var late = new CancellationTokenSource(s_requestTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, late.Token);
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            if (await RespondAsync(stream, either.Token, late.Token).ConfigureAwait(false))
            {
                await DrainAsync(socket, stream).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The sender closed the connection, or did not read the response in time.
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>Responds to one request. Returns false if there was none.</summary>
    private async Task<bool> RespondAsync(NetworkStream stream, CancellationToken cancellationToken, CancellationToken late)
    {
        int status;
        try
        {
            if (await WebhookRequest.ReadHeadAsync(stream, cancellationToken).ConfigureAwait(false) is not { } request)
            {
                return false;
            }

            status = await TakeAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (WebhookRequestException exception)
        {
            status = exception.Status;
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !_stop.IsCancellationRequested)
        {
            status = 408;
        }

        string allow = status == 405 ? "Allow: POST\r\n" : "";
        string head = $"HTTP/1.1 {status} {Reason(status)}\r\n{allow}{(status == 204 ? "" : "Content-Length: 0\r\n")}Connection: close\r\n\r\n";
        // Independent of the stop: an accepted event without a response would be sent again.
        using var closing = new CancellationTokenSource(s_closeTimeout);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head), closing.Token).ConfigureAwait(false);
        return true;
    }

    private async Task<int> TakeAsync(WebhookRequest request, CancellationToken cancellationToken)
    {
        if (!IsBelowPrefix(request.Path))
        {
            return 404;
        }

        if (request.Method != "POST")
        {
            return 405;
        }

        byte[] body = await request.ReadBodyAsync(MaxBody, cancellationToken).ConfigureAwait(false);
        string? id = request.Header("webhook-id");
        if (_signature?.Verify(id, request.Header("webhook-timestamp"), request.Header("webhook-signature"), body) == false)
        {
            return 401;
        }

        var received = WebhookEvent.Read(body, id, _time.GetUtcNow(), _signature is not null);
        lock (_knownIds)
        {
            if (id is not null && _knownIds.Contains(id))
            {
                return 204;
            }

            if (!_events.Writer.TryWrite(received))
            {
                // The ID is not stored, so that the sender's next attempt is accepted.
                return 503;
            }

            if (id is not null)
            {
                _knownIds.Add(id);
                _knownIdOrder.Enqueue(id);
                if (_knownIdOrder.Count > MaxKnownIds)
                {
                    _knownIds.Remove(_knownIdOrder.Dequeue());
                }
            }
        }

        return 204;
    }

    /// <summary>Whether the path is the prefix or below it. Compares in constant time, because the prefix may contain a secret.</summary>
    private bool IsBelowPrefix(string path)
    {
        byte[] requested = Encoding.Latin1.GetBytes(path);
        return requested.Length >= _path.Length
            && CryptographicOperations.FixedTimeEquals(requested.AsSpan(0, _path.Length), _path)
            && (requested.Length == _path.Length || requested[_path.Length] == '/');
    }

    /// <summary>Reads the rest of the request, so that the sender receives the response. Closing a connection with unread data would discard it.</summary>
    private static async Task DrainAsync(Socket socket, NetworkStream stream)
    {
        socket.Shutdown(SocketShutdown.Send);
        using var closing = new CancellationTokenSource(s_closeTimeout);
        byte[] unread = new byte[64 * 1024];
        for (int left = 4 * MaxBody; left > 0;)
        {
            int count = await stream.ReadAsync(unread, closing.Token).ConfigureAwait(false);
            left -= count == 0 ? left : count;
        }
    }

    private static string Reason(int status) => status switch
    {
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
}
