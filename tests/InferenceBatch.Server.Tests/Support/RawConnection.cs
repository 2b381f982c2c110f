using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>A plain socket to the service, for requests that HTTP clients do not send.</summary>
internal sealed class RawConnection : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly NetworkStream _stream;

    private RawConnection(Socket socket) => _stream = new NetworkStream(socket, ownsSocket: true);

    /// <summary>Connects. With a small buffer, the other side soon notices that the client does not read.</summary>
    public static async Task<RawConnection> OpenAsync(Uri service, int? receiveBuffer = null)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.ReceiveBufferSize = receiveBuffer ?? socket.ReceiveBufferSize;
        await socket.ConnectAsync(service.Host, service.Port);
        return new RawConnection(socket);
    }

    /// <summary>Opens a connection, sends bytes, and reads the first response.</summary>
    public static async Task<RawAnswer> AskAsync(Uri service, byte[] request)
    {
        using RawConnection connection = await OpenAsync(service);
        await connection.SendAsync(request);
        return await connection.ReadAsync();
    }

    public static Task<RawAnswer> AskAsync(Uri service, string request) => AskAsync(service, Encoding.Latin1.GetBytes(request));

    /// <summary>Sends bytes. It ignores that the other side may have closed the connection, because only its response matters.</summary>
    public async Task SendAsync(byte[] bytes)
    {
        try
        {
            await _stream.WriteAsync(bytes);
        }
        catch (IOException)
        {
        }
    }

    /// <summary>Reads one response with its body, by its Content-Length.</summary>
    public async Task<RawAnswer> ReadAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        var bytes = new List<byte>();
        int bodyStart;
        while ((bodyStart = IndexOfBody(bytes)) < 0)
        {
            bytes.Add(await ReadByteAsync(patience.Token) ?? throw new EndOfStreamException($"Closed after '{Encoding.Latin1.GetString([.. bytes])}'."));
        }

        string[] head = Encoding.Latin1.GetString([.. bytes]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var headers = head.Skip(1).Select(line => line.Split(": ", 2))
            .ToDictionary(pair => pair[0], pair => pair[1], StringComparer.OrdinalIgnoreCase);
        int status = int.Parse(head[0].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        if (status == 100)
        {
            return await ReadAsync();
        }

        byte[] body = new byte[int.Parse(headers["Content-Length"], System.Globalization.CultureInfo.InvariantCulture)];
        await _stream.ReadExactlyAsync(body, patience.Token);
        return new RawAnswer(status, headers, Encoding.UTF8.GetString(body));
    }

    /// <summary>Returns whether the other side closes the connection without sending more.</summary>
    public async Task<bool> IsClosedAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        return await ReadByteAsync(patience.Token) is null;
    }

    /// <summary>Reads until the connection ends or breaks; returns the number of bytes.</summary>
    public async Task<long> CountRestAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        byte[] chunk = new byte[64 * 1024];
        long count = 0;
        try
        {
            for (int read; (read = await _stream.ReadAsync(chunk, patience.Token)) > 0; count += read)
            {
            }
        }
        catch (IOException)
        {
        }

        return count;
    }

    public void Dispose() => _stream.Dispose();

    private async Task<byte?> ReadByteAsync(CancellationToken cancellationToken)
    {
        byte[] one = new byte[1];
        try
        {
            return await _stream.ReadAsync(one, cancellationToken) == 1 ? one[0] : null;
        }
        catch (IOException)
        {
            return null; // A reset also closes the connection.
        }
    }

    private static int IndexOfBody(List<byte> bytes) =>
        bytes is [.., (byte)'\r', (byte)'\n', (byte)'\r', (byte)'\n'] ? bytes.Count : -1;

    /// <summary>A response that was read from a socket.</summary>
    internal sealed record RawAnswer(int Status, IReadOnlyDictionary<string, string> Headers, string Body)
    {
        /// <summary>Returns the code of the error. Fails if the response is not a complete JSON error.</summary>
        public string ErrorCode()
        {
            Assert.Equal("application/json", Headers["Content-Type"]);
            Assert.StartsWith("req_", Headers["x-request-id"], StringComparison.Ordinal);
            JsonElement json = JsonDocument.Parse(Body).RootElement;
            Assert.Empty(ApiDocument.OfService.Check("ErrorResponse", json));
            return json.GetProperty("error").GetProperty("code").GetString()!;
        }
    }
}
