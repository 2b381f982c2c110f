// Add-Type compiles this file in PowerShell too: it must state its usings and must not use a language version later than C# 12.
#nullable enable
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace InferenceBatch;

/// <summary>
/// A server on plain sockets that misbehaves on demand, byte by byte. Each route has a queue of <see cref="Answer"/>s, and the last of them
/// is used again and again. By default, a route is a method and a path without the query, <see cref="On"/> adds to its queue, and other
/// requests get 404 with HTML, as from a server that is not a batch service.
/// </summary>
public class FaultServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Behaviour>> _routes = new();
    private readonly ConcurrentQueue<Exchange> _requests = new();
    private readonly SemaphoreSlim _arrived = new(0);
    private readonly Task _accepting;
    private int _refusals;
    private int _openAnswers;

    public FaultServer()
    {
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public Uri BaseUri => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/v1");

    /// <summary>
    /// Whether a route is the start of method, path and query, of which the longest that matches is used. <see cref="On"/> then replaces the
    /// answers of a route, and requests without a route get 599, which clients do not retry.
    /// </summary>
    protected bool MatchesPrefixes { get; init; }

    /// <summary>The requests so far in order of arrival, with the parts that were read.</summary>
    public IReadOnlyList<Exchange> Requests => _requests.ToArray();

    /// <summary>The number of answers that have begun but not ended: 0 when every client has its answer or is gone.</summary>
    public int OpenAnswers => Volatile.Read(ref _openAnswers);

    /// <summary>Sets the answers to a route, such as <c>GET /v1/batches/b</c>.</summary>
    public FaultServer On(string route, params Behaviour[] answers)
    {
        ConcurrentQueue<Behaviour> queue = MatchesPrefixes ? _routes[route] = new() : _routes.GetOrAdd(route, _ => new());
        Array.ForEach(answers, queue.Enqueue);
        return this;
    }

    /// <summary>Removes all routes and requests.</summary>
    public void Reset()
    {
        _routes.Clear();
        _requests.Clear();
    }

    /// <summary>Closes the next connections before it reads a byte from them.</summary>
    public void RefuseNext(int connections) => Interlocked.Add(ref _refusals, connections);

    /// <summary>Waits until another request arrives.</summary>
    public Task ArrivalAsync() => _arrived.WaitAsync(TimeSpan.FromSeconds(30));

    public IEnumerable<string> Asked => Requests.Select(request => $"{request.Method} {request.Path}");

    public void Dispose()
    {
        GC.SuppressFinalize(this);
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
            // Stopped. A listener that is stopped between two connections throws InvalidOperationException.
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
                    Interlocked.Increment(ref _openAnswers);
                    try
                    {
                        await Next(exchange)(exchange);
                    }
                    finally
                    {
                        Interlocked.Decrement(ref _openAnswers);
                    }

                    if (exchange.IsClosed)
                    {
                        return;
                    }
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // One of the two sides closed the connection.
            }
        }
    }

    private Behaviour Next(Exchange exchange)
    {
        string? route = MatchesPrefixes
            ? _routes.Keys.Where(key => $"{exchange}".StartsWith(key, StringComparison.Ordinal)).MaxBy(key => key.Length)
            : $"{exchange.Method} {exchange.Path.Split('?')[0]}";
        if (route is null || !_routes.TryGetValue(route, out ConcurrentQueue<Behaviour>? queue))
        {
            return MatchesPrefixes
                ? Answer.Json($$$"""{"error":{"message":"There is no route for {{{exchange}}}"}}""", 599, "x-should-retry: false")
                : Answer.Html(404);
        }

        lock (queue)
        {
            return queue.Count > 1 && queue.TryDequeue(out Behaviour? next) ? next : queue.First();
        }
    }
}
