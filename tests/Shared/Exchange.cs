#nullable enable
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace InferenceBatch;

/// <summary>What a <see cref="FaultServer"/> does with a request.</summary>
public delegate Task Behaviour(Exchange exchange);

/// <summary>A request, with the connection on which it arrived.</summary>
public sealed class Exchange
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

    /// <summary>The path and the query.</summary>
    public string Path { get; }

    public Dictionary<string, string> Headers { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>When the head of the request was read, in UTC.</summary>
    public DateTime At { get; } = DateTime.UtcNow;

    /// <summary>The part of the body that was read.</summary>
    public byte[] Body { get; private set; } = [];

    public string BodyText => Encoding.UTF8.GetString(Body);

    /// <summary>The body, under the name that Pester tests use.</summary>
    public string Text => BodyText;

    /// <summary>Cancelled when the server stops, so that a stalled answer ends.</summary>
    public CancellationToken Stopped { get; }

    public bool IsClosed { get; private set; }

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    public override string ToString() => $"{Method} {Path}";

    /// <summary>Reads the head of the next request. Returns null if the client closed the connection.</summary>
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

    /// <summary>Reads the rest of the body, or at most so many bytes of it. Does nothing if it was already read.</summary>
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
            await ReadMoreAsync(Math.Min(int.Parse(length, CultureInfo.InvariantCulture) - Body.Length, atMost));
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

    /// <summary>Waits until the client closes the connection or the server stops.</summary>
    public Task ClientGoneAsync() => _input.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false, Stopped).AsTask();

    /// <summary>Closes the connection normally.</summary>
    public void Close()
    {
        IsClosed = true;
        _socket.Dispose();
    }

    /// <summary>Resets the connection, as a crash does.</summary>
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
