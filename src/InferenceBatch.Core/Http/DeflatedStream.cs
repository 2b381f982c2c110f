using System.IO.Compression;

namespace InferenceBatch.Http;

/// <summary>
/// Decodes <c>deflate</c>: the zlib format (RFC 9110 section 8.4.1.2), or the raw deflate data (RFC 1951) that some servers
/// send under this name. The first two bytes distinguish them.
/// </summary>
internal sealed class DeflatedStream(Stream source) : ReadOnlyStream
{
    private Stream? _decoder;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _decoder ??= await OpenAsync(cancellationToken).ConfigureAwait(false);
        return await _decoder.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _decoder?.Dispose();
            source.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task<Stream> OpenAsync(CancellationToken cancellationToken)
    {
        byte[] start = new byte[2];
        int count = await source.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        var whole = new Rejoined(start[..count], source);
        return count == start.Length && IsZlib(start) ? new ZLibStream(whole, CompressionMode.Decompress) : new DeflateStream(whole, CompressionMode.Decompress);
    }

    /// <summary>Whether the bytes are a zlib header: the method deflate and a valid check value (RFC 1950 section 2.2).</summary>
    private static bool IsZlib(byte[] start) => (start[0] & 0x0F) == 8 && ((start[0] << 8) + start[1]) % 31 == 0;

    /// <summary>A stream that begins with bytes that were already read from it.</summary>
    private sealed class Rejoined(byte[] start, Stream rest) : ReadOnlyStream
    {
        private int _taken;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_taken == start.Length)
            {
                return rest.ReadAsync(buffer, cancellationToken);
            }

            int count = Math.Min(buffer.Length, start.Length - _taken);
            start.AsMemory(_taken, count).CopyTo(buffer);
            _taken += count;
            return ValueTask.FromResult(count);
        }
    }
}
