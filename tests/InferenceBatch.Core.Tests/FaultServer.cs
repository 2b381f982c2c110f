using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace InferenceBatch;

/// <summary>
/// A server on plain sockets that misbehaves on demand, byte by byte. Each route has a queue of <see cref="Answer"/>s;
/// the last one stays. What is asked beside the routes is answered with 404 and HTML, as a stranger would.
/// </summary>
internal sealed class FaultServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Behaviour>> _routes = new();
    private readonly ConcurrentQueue<Exchange> _requests = new();
    private readonly SemaphoreSlim _arrived = new(0);
    private readonly Task _accepting;
    private int _refusals;

    public FaultServer()
    {
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public Uri BaseUri => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/v1");

    /// <summary>What was asked so far, in order of arrival, as far as it was read.</summary>
    public IReadOnlyList<Exchange> Requests => [.. _requests];

    /// <summary>Adds answers to a route, such as <c>GET /v1/batches/b</c> (without the query).</summary>
    public FaultServer On(string route, params Behaviour[] answers)
    {
        ConcurrentQueue<Behaviour> queue = _routes.GetOrAdd(route, _ => new ConcurrentQueue<Behaviour>());
        Array.ForEach(answers, queue.Enqueue);
        return this;
    }

    /// <summary>Forgets all routes.</summary>
    public void Reset() => _routes.Clear();

    /// <summary>Closes the next connections before a byte was read from them.</summary>
    public void RefuseNext(int connections) => Interlocked.Add(ref _refusals, connections);

    /// <summary>Waits until one more request has arrived.</summary>
    public Task ArrivalAsync() => _arrived.WaitAsync(TimeSpan.FromSeconds(30));

    public IEnumerable<string> Asked => Requests.Select(request => $"{request.Method} {request.Path}");

    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        _stop.Cancel();
        _listener.Dispose();
        _accepting.Wait();
        _stop.Dispose();
        _arrived.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new ConcurrentBag<Task>();
        try
        {
            while (true)
            {
                Socket socket = await _listener.AcceptSocketAsync(_stop.Token);
                if (Interlocked.Decrement(ref _refusals) >= 0)
                {
                    Exchange.Abort(socket);
                    continue;
                }

                Interlocked.Increment(ref _refusals);
                serving.Add(ServeAsync(socket));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or InvalidOperationException)
        {
            // Stopped; a listener that is stopped between two connections says that it is not listening.
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using (socket)
        {
            socket.NoDelay = true;
            try
            {
                using var closing = _stop.Token.Register(socket.Dispose);
                var input = new BufferedStream(new NetworkStream(socket), 64 * 1024);
                while (await Exchange.ReadHeadAsync(socket, input, _stop.Token) is { } exchange)
                {
                    _requests.Enqueue(exchange);
                    _arrived.Release();
                    await Next($"{exchange.Method} {exchange.Path.Split('?')[0]}")(exchange);
                    if (exchange.IsClosed)
                    {
                        return;
                    }
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // One of the two hung up.
            }
        }
    }

    private Behaviour Next(string route)
    {
        if (!_routes.TryGetValue(route, out ConcurrentQueue<Behaviour>? queue))
        {
            return Answer.Html(404);
        }

        lock (queue)
        {
            return queue.Count > 1 && queue.TryDequeue(out Behaviour? next) ? next : queue.First();
        }
    }
}

/// <summary>What a server does with one request.</summary>
internal delegate Task Behaviour(Exchange exchange);

/// <summary>One request and the connection it came on.</summary>
internal sealed class Exchange
{
    private readonly Socket _socket;
    private readonly Stream _input;
    private bool _bodyWasRead;

    private Exchange(Socket socket, Stream input, string requestLine, CancellationToken stopped)
    {
        (_socket, _input, Stopped) = (socket, input, stopped);
        string[] parts = requestLine.Split(' ');
        (Method, Path) = (parts[0], parts[1]);
    }

    public string Method { get; }

    /// <summary>Path and query.</summary>
    public string Path { get; }

    public Dictionary<string, string> Headers { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The body as far as it was read.</summary>
    public byte[] Body { get; private set; } = [];

    public string BodyText => Encoding.UTF8.GetString(Body);

    /// <summary>Set when the server stops: what stalls is to end then.</summary>
    public CancellationToken Stopped { get; }

    public bool IsClosed { get; private set; }

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    /// <summary>Reads the line and the headers of the next request; null when the client has gone.</summary>
    public static async Task<Exchange?> ReadHeadAsync(Socket socket, Stream input, CancellationToken stopped)
    {
        string first = await ReadLineAsync(input);
        if (first.Length == 0)
        {
            return null;
        }

        var exchange = new Exchange(socket, input, first, stopped);
        for (string line; (line = await ReadLineAsync(input)).Length > 0;)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            exchange.Headers[line[..colon]] = line[(colon + 1)..].Trim();
        }

        return exchange;
    }

    /// <summary>Reads the body, or some more bytes of it; once it was read, nothing.</summary>
    public async Task ReadBodyAsync(int atMost = int.MaxValue)
    {
        if (_bodyWasRead)
        {
            return;
        }

        _bodyWasRead = atMost == int.MaxValue;
        if (Headers.ContainsKey("Expect") && Body.Length == 0)
        {
            await SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
        }

        if (Header("Transfer-Encoding") == "chunked")
        {
            for (int length; (length = Convert.ToInt32(await ReadLineAsync(_input), 16)) > 0;)
            {
                await ReadMoreAsync(length);
                await ReadLineAsync(_input);
            }

            await ReadLineAsync(_input);
        }
        else if (Header("Content-Length") is { } length)
        {
            await ReadMoreAsync(Math.Min(int.Parse(length, System.Globalization.CultureInfo.InvariantCulture) - Body.Length, atMost));
        }
    }

    public Task SendAsync(string text) => SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, Stopped)..];
        }
    }

    /// <summary>Says that nothing more comes.</summary>
    public void Close()
    {
        IsClosed = true;
        _socket.Dispose();
    }

    /// <summary>Breaks the connection off, as a crash does.</summary>
    public void Abort()
    {
        IsClosed = true;
        Abort(_socket);
    }

    public static void Abort(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
    }

    private async Task ReadMoreAsync(int count)
    {
        byte[] more = new byte[count];
        await _input.ReadExactlyAsync(more, Stopped);
        Body = [.. Body, .. more];
    }

    private static async Task<string> ReadLineAsync(Stream stream)
    {
        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (await stream.ReadAsync(one) > 0 && one[0] != '\n')
        {
            line.Append((char)one[0]);
        }

        return line.ToString().TrimEnd('\r');
    }
}
