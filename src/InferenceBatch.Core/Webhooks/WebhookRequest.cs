using System.Globalization;
using System.Text;

namespace InferenceBatch.Webhooks;

/// <summary>
/// One HTTP/1.1 request as a webhook comes (RFC 9112), read with bounds: 16 KiB of head, and as much body as allowed.
/// </summary>
internal sealed class WebhookRequest
{
    private const int LongestHead = 16 * 1024;

    private readonly Dictionary<string, string> _headers = new(StringComparer.OrdinalIgnoreCase);
    private readonly Stream _stream;
    private byte[] _read = [];

    private WebhookRequest(Stream stream) => _stream = stream;

    public string Method { get; private set; } = "";

    /// <summary>Path without query.</summary>
    public string Path { get; private set; } = "";

    public string? Header(string name) => _headers.GetValueOrDefault(name);

    /// <summary>Reads line and headers; null when the sender left before a first byte.</summary>
    /// <exception cref="WebhookRefusal">It is none, or too long.</exception>
    public static async Task<WebhookRequest?> ReadHeadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var request = new WebhookRequest(stream);
        byte[] buffer = new byte[LongestHead];
        int length = 0;
        int end;
        while ((end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (length == buffer.Length)
            {
                throw new WebhookRefusal(431);
            }

            int count = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                return length == 0 ? null : throw new WebhookRefusal(400);
            }

            length += count;
        }

        request._read = buffer[(end + 4)..length];
        request.ReadHead(Encoding.Latin1.GetString(buffer, 0, end).Split("\r\n"));
        return request;
    }

    /// <summary>Reads the body.</summary>
    /// <exception cref="WebhookRefusal">It is longer than allowed, cut off, or of no stated length.</exception>
    public async Task<byte[]> ReadBodyAsync(int longest, CancellationToken cancellationToken)
    {
        string? coding = Header("Transfer-Encoding");
        string? stated = Header("Content-Length");
        bool isChunked = string.Equals(coding, "chunked", StringComparison.OrdinalIgnoreCase);
        long length = 0;
        if ((coding is not null && (!isChunked || stated is not null))
            || (stated is not null && !long.TryParse(stated, NumberStyles.None, CultureInfo.InvariantCulture, out length)))
        {
            throw new WebhookRefusal(400);
        }

        if (length > longest)
        {
            throw new WebhookRefusal(413);
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
            if (chunk > longest - body.Length)
            {
                throw new WebhookRefusal(413);
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
                    ? length : throw new WebhookRefusal(413);
            }

            line.Append(c);
        }

        throw new WebhookRefusal(400);
    }

    private void ReadHead(string[] lines)
    {
        string[] words = lines[0].Split(' ');
        if (words.Length != 3 || !words[2].StartsWith("HTTP/1.", StringComparison.Ordinal))
        {
            throw new WebhookRefusal(400);
        }

        (Method, Path) = (words[0], words[1].Split('?')[0]);
        foreach (string line in lines[1..])
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            string name = colon < 1 ? throw new WebhookRefusal(400) : line[..colon];
            if (!_headers.TryAdd(name, line[(colon + 1)..].Trim()) && IsSingle(name))
            {
                throw new WebhookRefusal(400);
            }
        }
    }

    /// <summary>Whether two of a header would leave open which one counts.</summary>
    private static bool IsSingle(string name) =>
        name.StartsWith("webhook-", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads what came with the head first, then the rest.</summary>
    private sealed class BufferedReader(Stream stream, byte[] first)
    {
        private int _taken;

        public async Task<byte[]> ReadAsync(int count, CancellationToken cancellationToken)
        {
            byte[] bytes = new byte[count];
            int length = Math.Min(count, first.Length - _taken);
            first.AsSpan(_taken, length).CopyTo(bytes);
            _taken += length;
            try
            {
                await stream.ReadExactlyAsync(bytes.AsMemory(length), cancellationToken).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                throw new WebhookRefusal(400);
            }

            return bytes;
        }
    }
}
