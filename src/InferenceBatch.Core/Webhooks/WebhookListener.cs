using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using InferenceBatch.Model;

namespace InferenceBatch.Webhooks;

/// <summary>
/// Listens for webhooks on a prefix such as <c>http://127.0.0.1:8123/secret/</c>, where a proxy or tunnel that has the
/// certificate passes them on. Answers 204 to what it took (a repeated <c>webhook-id</c> included, which is given once),
/// 401 to a bad signature, 404 beside the prefix, 405 to all but POST, 413 to more than 1 MiB, 408 to who takes longer
/// than 10 seconds, 503 when nobody takes the events.
/// </summary>
/// <remarks>
/// Plain sockets: HttpListener wants rights of an administrator on Windows and knows no bounds elsewhere. One request a
/// connection, at most 32 connections at once; more of them wait.
/// </remarks>
public sealed class WebhookListener : IAsyncDisposable
{
    /// <summary>The longest body taken, in bytes.</summary>
    public const int LongestBody = 1024 * 1024;

    private const int MaxConnections = 32;
    private const int MaxWaiting = 1024;
    private const int MaxRemembered = 10_000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly TcpListener _listener;
    private readonly byte[] _path;
    private readonly WebhookSignature? _signature;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _free = new(MaxConnections);
    private readonly Channel<WebhookEvent> _events = Channel.CreateBounded<WebhookEvent>(MaxWaiting);
    private readonly HashSet<string> _known = [];
    private readonly Queue<string> _oldest = [];
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

    /// <summary>Where it listens, with the port that was found when 0 was asked for.</summary>
    public Uri Prefix { get; }

    /// <summary>Begins to listen.</summary>
    /// <param name="prefix">http, and an address of this machine; what lies below its path is taken too. Port 0 takes a free one.</param>
    /// <param name="signature">What every event must be signed with; null takes all.</param>
    /// <param name="time">Where the time is read.</param>
    /// <exception cref="ArgumentException">No such prefix.</exception>
    /// <exception cref="WebhookListenException">The port is in use or must not be used.</exception>
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
            string why = exception.SocketErrorCode == SocketError.AddressAlreadyInUse ? Messages.Text("WebhookListenFailed.PortInUse") : exception.Message;
            throw new WebhookListenException(Messages.Text("WebhookListenFailed", address, prefix.Port, why), exception);
        }

        return new WebhookListener(listener, prefix, signature, time);
    }

    /// <summary>The events as they come, each to one reader; ends when the listener is disposed.</summary>
    public IAsyncEnumerable<WebhookEvent> ReadAllAsync(CancellationToken cancellationToken = default) =>
        _events.Reader.ReadAllAsync(cancellationToken);

    /// <summary>Stops listening, breaks off what is not taken yet, answers for what is, and frees the port.</summary>
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
        _free.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        bool holds = false;
        try
        {
            while (true)
            {
                await _free.WaitAsync(_stop.Token).ConfigureAwait(false);
                holds = true;
                Socket socket;
                try
                {
                    socket = await _listener.AcceptSocketAsync(_stop.Token).ConfigureAwait(false);
                }
                catch (SocketException) when (!_stop.IsCancellationRequested)
                {
                    // The sender had gone before it was its turn.
                    _free.Release();
                    holds = false;
                    continue;
                }

                holds = false;
                _ = ServeAndReleaseAsync(socket);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped: all who are being served leave their place.
        }

        for (int left = holds ? 1 : 0; left < MaxConnections; left++)
        {
            await _free.WaitAsync().ConfigureAwait(false);
        }
    }

    private async Task ServeAndReleaseAsync(Socket socket)
    {
        using var late = new CancellationTokenSource(s_patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, late.Token);
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            if (await AnswerAsync(stream, either.Token, late.Token).ConfigureAwait(false))
            {
                await SeeOffAsync(socket, stream).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The sender hung up, or was too slow even to hear so.
        }
        finally
        {
            _free.Release();
        }
    }

    /// <summary>Answers one request; false when there was none.</summary>
    private async Task<bool> AnswerAsync(NetworkStream stream, CancellationToken cancellationToken, CancellationToken late)
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
        catch (WebhookRefusal refusal)
        {
            status = refusal.Status;
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !_stop.IsCancellationRequested)
        {
            status = 408;
        }

        string allow = status == 405 ? "Allow: POST\r\n" : "";
        string head = $"HTTP/1.1 {status} {Reason(status)}\r\n{allow}{(status == 204 ? "" : "Content-Length: 0\r\n")}Connection: close\r\n\r\n";
        // Also while the listener stops: an event that was taken and not answered for would be sent again.
        using var enough = new CancellationTokenSource(s_farewell);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head), enough.Token).ConfigureAwait(false);
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

        byte[] body = await request.ReadBodyAsync(LongestBody, cancellationToken).ConfigureAwait(false);
        string? id = request.Header("webhook-id");
        if (_signature?.Verify(id, request.Header("webhook-timestamp"), request.Header("webhook-signature"), body) == false)
        {
            return 401;
        }

        var taken = WebhookEvent.Read(body, id, _time.GetUtcNow(), _signature is not null);
        lock (_known)
        {
            if (id is not null && _known.Contains(id))
            {
                return 204;
            }

            if (!_events.Writer.TryWrite(taken))
            {
                // Not remembered: the sender's next try is to count.
                return 503;
            }

            if (id is not null)
            {
                _known.Add(id);
                _oldest.Enqueue(id);
                if (_oldest.Count > MaxRemembered)
                {
                    _known.Remove(_oldest.Dequeue());
                }
            }
        }

        return 204;
    }

    /// <summary>Whether the path is the prefix's or below it; in the same time however much of it is right, for it is a secret.</summary>
    private bool IsBelowPrefix(string path)
    {
        byte[] asked = Encoding.Latin1.GetBytes(path);
        return asked.Length >= _path.Length
            && CryptographicOperations.FixedTimeEquals(asked.AsSpan(0, _path.Length), _path)
            && (asked.Length == _path.Length || asked[_path.Length] == '/');
    }

    /// <summary>Lets the sender read the answer before the connection ends: closed over unread bytes it would be lost.</summary>
    private static async Task SeeOffAsync(Socket socket, NetworkStream stream)
    {
        socket.Shutdown(SocketShutdown.Send);
        using var enough = new CancellationTokenSource(s_farewell);
        byte[] unread = new byte[64 * 1024];
        for (int left = 4 * LongestBody; left > 0;)
        {
            int count = await stream.ReadAsync(unread, enough.Token).ConfigureAwait(false);
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
