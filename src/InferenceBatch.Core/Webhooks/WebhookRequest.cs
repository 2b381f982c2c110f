using System.Globalization;
using System.Text;

namespace InferenceBatch.Webhooks;

/// <summary>
/// An HTTP/1.1 request of a webhook (RFC 9112), read with limits: 16 KiB for the head, and the given limit for the body.
/// </summary>
internal sealed class WebhookRequest
{
    private const int MaxHead = 16 * 1024;

    private readonly Dictionary<string, string> _headers = new(StringComparer.OrdinalIgnoreCase);
    private readonly Stream _stream;
    private byte[] _read = [];

    private WebhookRequest(Stream stream) => _stream = stream;

    public string Method { get; private set; } = "";

    /// <summary>The path without the query.</summary>
    public string Path { get; private set; } = "";

    public string? Header(string name) => _headers.GetValueOrDefault(name);

    /// <summary>Reads the request line and the headers. Returns null if the sender closed the connection without sending anything.</summary>
    /// <exception cref="WebhookRequestException">The head is not valid or too long.</exception>
    public static async Task<WebhookRequest?> ReadHeadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var request = new WebhookRequest(stream);
        byte[] buffer = new byte[MaxHead];
        int length = 0;
        int end;
        while ((end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (length == buffer.Length)
            {
                throw new WebhookRequestException(431);
            }

            int count = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                return length == 0 ? null : throw new WebhookRequestException(400);
            }

            length += count;
        }

        request._read = buffer[(end + 4)..length];
        request.ReadHead(Encoding.Latin1.GetString(buffer, 0, end).Split("\r\n"));
        return request;
    }

    /// <summary>Reads the body.</summary>
    /// <exception cref="WebhookRequestException">The body is longer than the limit, incomplete, or its length is not valid.</exception>
    public async Task<byte[]> ReadBodyAsync(int maxLength, CancellationToken cancellationToken)
    {
        string? coding = Header("Transfer-Encoding");
        string? stated = Header("Content-Length");
        bool isChunked = string.Equals(coding, "chunked", StringComparison.OrdinalIgnoreCase);
        long length = 0;
        if ((coding is not null && (!isChunked || stated is not null))
            || (stated is not null && !long.TryParse(stated, NumberStyles.None, CultureInfo.InvariantCulture, out length)))
        {
            throw new WebhookRequestException(400);
        }

        if (length > maxLength)
        {
            throw new WebhookRequestException(413);
        }

        if (string.Equals(Header("Expect"), "100-continue", StringComparison.OrdinalIgnoreCase))
        {
            await _stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), cancellationToken).ConfigureAwait(false);
        }

        var input = new BufferedReader(_stream, _read);
        if (!isChunked)
        {
            return await input.ReadAsync((int)length, cancellationToken).ConfigureAwait(false);
        }

        using var body = new MemoryStream();
        while (await ReadChunkLengthAsync(input, cancellationToken).ConfigureAwait(false) is > 0 and int chunk)
        {
            if (chunk > maxLength - body.Length)
            {
                throw new WebhookRequestException(413);
            }

            body.Write(await input.ReadAsync(chunk, cancellationToken).ConfigureAwait(false));
            await input.ReadAsync(2, cancellationToken).ConfigureAwait(false);
        }

        return body.ToArray();
    }

    private static async Task<int> ReadChunkLengthAsync(BufferedReader input, CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        while (line.Length < 100)
        {
            char c = (char)(await input.ReadAsync(1, cancellationToken).ConfigureAwait(false))[0];
            if (c == '\n')
            {
                string digits = line.ToString().Split(';')[0].Trim();
                return int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int length) && length >= 0
                    ? length : throw new WebhookRequestException(413);
            }

            line.Append(c);
        }

        throw new WebhookRequestException(400);
    }

    private void ReadHead(string[] lines)
    {
        string[] words = lines[0].Split(' ');
        if (words.Length != 3 || !words[2].StartsWith("HTTP/1.", StringComparison.Ordinal))
        {
            throw new WebhookRequestException(400);
        }

        (Method, Path) = (words[0], words[1].Split('?')[0]);
        foreach (string line in lines[1..])
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            string name = colon < 1 ? throw new WebhookRequestException(400) : line[..colon];
            if (!_headers.TryAdd(name, line[(colon + 1)..].Trim()) && IsSingle(name))
            {
                throw new WebhookRequestException(400);
            }
        }
    }

    /// <summary>Whether a header may occur only once, because two values would be ambiguous.</summary>
    private static bool IsSingle(string name) =>
        name.StartsWith("webhook-", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads the bytes that arrived with the head first, then the stream.</summary>
    private sealed class BufferedReader(Stream stream, byte[] first)
    {
        private int _position;

        public async Task<byte[]> ReadAsync(int count, CancellationToken cancellationToken)
        {
            byte[] bytes = new byte[count];
            int length = Math.Min(count, first.Length - _position);
            first.AsSpan(_position, length).CopyTo(bytes);
            _position += length;
            try
            {
                await stream.ReadExactlyAsync(bytes.AsMemory(length), cancellationToken).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                throw new WebhookRequestException(400);
            }

            return bytes;
        }
    }
}
