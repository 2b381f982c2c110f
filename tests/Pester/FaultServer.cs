using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

/// <summary>One answer of the fault server.</summary>
public sealed class FaultAnswer
{
    public int Status { get; set; } = 200;
    public string ContentType { get; set; } = "application/json";
    public Dictionary<string, string> Headers { get; } = new Dictionary<string, string>();
    public byte[] Body { get; set; } = Array.Empty<byte>();

    /// <summary>Close the connection instead of answering.</summary>
    public bool Drop { get; set; }

    /// <summary>Announce the whole body, send so many bytes of it, and close; -1 for all.</summary>
    public int CutAfter { get; set; } = -1;

    /// <summary>Send the headers and so many bytes, then nothing more until the client goes away.</summary>
    public int StallAfter { get; set; } = -1;

    /// <summary>Answer a Range with the bytes asked for, and 206.</summary>
    public bool Ranges { get; set; }
}

/// <summary>One call the fault server received.</summary>
public sealed class FaultCall
{
    public string Method { get; set; }
    public string Path { get; set; }
    public Dictionary<string, string> Headers { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
    public byte[] Body { get; set; } = Array.Empty<byte>();
    public string Text { get { return Encoding.UTF8.GetString(Body); } }
    public DateTime At { get; } = DateTime.UtcNow;
    public override string ToString() { return Method + " " + Path; }
}

/// <summary>An HTTP service on a raw loopback socket that answers as scripted: each route has a queue of answers, whose last one stays.</summary>
public sealed class FaultServer : IDisposable
{
    private readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
    private readonly List<Tuple<string, Queue<FaultAnswer>>> _routes = new List<Tuple<string, Queue<FaultAnswer>>>();
    private readonly ConcurrentQueue<FaultCall> _calls = new ConcurrentQueue<FaultCall>();
    private readonly CancellationTokenSource _stop = new CancellationTokenSource();
    private int _open;

    public FaultServer()
    {
        _listener.Start();
        BaseUri = new Uri("http://127.0.0.1:" + ((IPEndPoint)_listener.LocalEndpoint).Port + "/v1");
        _ = AcceptAsync();
    }

    public Uri BaseUri { get; }
    public FaultCall[] Calls { get { return _calls.ToArray(); } }

    /// <summary>Answers begun and not ended: 0 once every client has what it wanted, or is gone.</summary>
    public int OpenAnswers { get { return Volatile.Read(ref _open); } }

    /// <summary>Scripts a route, such as <c>GET /v1/batches/b1</c>; the longest that the call begins with counts.</summary>
    public void On(string route, FaultAnswer[] answers)
    {
        lock (_routes)
        {
            _routes.RemoveAll(one => one.Item1 == route);
            _routes.Add(Tuple.Create(route, new Queue<FaultAnswer>(answers)));
        }
    }

    public void Reset()
    {
        lock (_routes)
        {
            _routes.Clear();
        }

        while (_calls.TryDequeue(out _))
        {
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync().ConfigureAwait(false);
                _ = Task.Run(() => ServeAsync(client));
            }
        }
        catch (Exception)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            using (NetworkStream stream = client.GetStream())
            {
                while (true)
                {
                    FaultCall call = await ReadAsync(stream).ConfigureAwait(false);
                    if (call == null)
                    {
                        return;
                    }

                    _calls.Enqueue(call);
                    FaultAnswer answer = AnswerFor(call.Method + " " + call.Path);
                    if (answer.Drop)
                    {
                        client.Client.LingerState = new LingerOption(true, 0);
                        return;
                    }

                    Interlocked.Increment(ref _open);
                    try
                    {
                        if (!await WriteAsync(stream, call, answer).ConfigureAwait(false))
                        {
                            return;
                        }
                    }
                    finally
                    {
                        Interlocked.Decrement(ref _open);
                    }
                }
            }
        }
        catch (Exception)
        {
            // The client went away.
        }
    }

    private FaultAnswer AnswerFor(string call)
    {
        lock (_routes)
        {
            Queue<FaultAnswer> answers = _routes.Where(route => call.StartsWith(route.Item1, StringComparison.Ordinal))
                .OrderByDescending(route => route.Item1.Length).Select(route => route.Item2).FirstOrDefault();
            if (answers == null)
            {
                return new FaultAnswer { Status = 599, Body = Encoding.UTF8.GetBytes("{\"error\":{\"message\":\"not scripted: " + call + "\"}}"), Headers = { { "x-should-retry", "false" } } };
            }

            return answers.Count > 1 ? answers.Dequeue() : answers.Peek();
        }
    }

    private async Task<bool> WriteAsync(NetworkStream stream, FaultCall call, FaultAnswer answer)
    {
        int status = answer.Status;
        int from = 0;
        string range;
        var head = new StringBuilder();
        if (answer.Ranges && call.Headers.TryGetValue("Range", out range))
        {
            from = int.Parse(range.Substring("bytes=".Length).TrimEnd('-'));
            status = 206;
            head.Append("Content-Range: bytes ").Append(from).Append('-').Append(answer.Body.Length - 1).Append('/').Append(answer.Body.Length).Append("\r\n");
        }

        foreach (KeyValuePair<string, string> header in answer.Headers)
        {
            head.Append(header.Key).Append(": ").Append(header.Value).Append("\r\n");
        }

        byte[] start = Encoding.ASCII.GetBytes(
            "HTTP/1.1 " + status + " Scripted\r\nContent-Type: " + answer.ContentType + "\r\nContent-Length: " + (answer.Body.Length - from) + "\r\n" + head + "\r\n");
        await stream.WriteAsync(start, 0, start.Length).ConfigureAwait(false);
        int end = answer.CutAfter >= 0 ? answer.CutAfter : answer.StallAfter >= 0 ? answer.StallAfter : answer.Body.Length;
        if (end > from)
        {
            await stream.WriteAsync(answer.Body, from, Math.Min(end, answer.Body.Length) - from).ConfigureAwait(false);
        }

        if (answer.StallAfter >= 0)
        {
            // Ends when the client closes its side.
            await stream.ReadAsync(new byte[1], 0, 1, _stop.Token).ConfigureAwait(false);
            return false;
        }

        return answer.CutAfter < 0;
    }

    private static async Task<FaultCall> ReadAsync(NetworkStream stream)
    {
        string first = await ReadLineAsync(stream).ConfigureAwait(false);
        if (string.IsNullOrEmpty(first))
        {
            return null;
        }

        string[] parts = first.Split(' ');
        var call = new FaultCall { Method = parts[0], Path = parts[1] };
        string line;
        while ((line = await ReadLineAsync(stream).ConfigureAwait(false)).Length > 0)
        {
            int colon = line.IndexOf(':');
            call.Headers[line.Substring(0, colon)] = line.Substring(colon + 1).Trim();
        }

        string value;
        var body = new MemoryStream();
        if (call.Headers.TryGetValue("Content-Length", out value))
        {
            await CopyAsync(stream, body, int.Parse(value)).ConfigureAwait(false);
        }
        else if (call.Headers.TryGetValue("Transfer-Encoding", out value))
        {
            int size;
            while ((size = Convert.ToInt32(await ReadLineAsync(stream).ConfigureAwait(false), 16)) > 0)
            {
                await CopyAsync(stream, body, size).ConfigureAwait(false);
                await ReadLineAsync(stream).ConfigureAwait(false);
            }

            await ReadLineAsync(stream).ConfigureAwait(false);
        }

        call.Body = body.ToArray();
        return call;
    }

    private static async Task CopyAsync(NetworkStream stream, MemoryStream into, int count)
    {
        byte[] buffer = new byte[count];
        int done = 0;
        while (done < count)
        {
            int read = await stream.ReadAsync(buffer, done, count - done).ConfigureAwait(false);
            if (read == 0)
            {
                throw new EndOfStreamException();
            }

            done += read;
        }

        into.Write(buffer, 0, count);
    }

    private static async Task<string> ReadLineAsync(NetworkStream stream)
    {
        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (await stream.ReadAsync(one, 0, 1).ConfigureAwait(false) > 0 && one[0] != '\n')
        {
            if (one[0] != '\r')
            {
                line.Append((char)one[0]);
            }
        }

        return line.ToString();
    }
}
