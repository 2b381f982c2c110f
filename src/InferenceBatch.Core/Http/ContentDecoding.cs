using System.IO.Compression;

namespace InferenceBatch.Http;

/// <summary>
/// Decodes the content codings of RFC 9110 section 8.4.1 (gzip, x-gzip, deflate), brotli (RFC 7932), and several of them on
/// top of each other. Some gateways compress responses although the request asks for <c>identity</c>.
/// </summary>
public static class ContentDecoding
{
    /// <summary>The value of <c>Accept-Encoding</c> for uncompressed content, so that byte ranges count uncompressed bytes.</summary>
    public const string Identity = "identity";

    /// <summary>The maximum number of codings, which is more than services apply.</summary>
    private const int MaxCodings = 5;

    private static readonly string[] s_unknown = ["zstd", "compress", "x-compress", "dcb", "dcz"];

    /// <summary>Whether content is encoded.</summary>
    public static bool IsEncoded(HttpContent content) => CodingsOf(content).Count > 0;

    /// <summary>Returns the codings of content that cannot be decoded; null if it can be.</summary>
    public static string? UnknownIn(HttpContent content)
    {
        List<string> codings = CodingsOf(content);
        return codings.Count > MaxCodings || codings.Exists(s_unknown.Contains) ? string.Join(", ", codings) : null;
    }

    /// <summary>
    /// Opens content and decodes it. Reading throws a <see cref="DamagedContentException"/> if it is damaged. The caller must
    /// limit the size of the decoded content; this method does not keep it in memory.
    /// </summary>
    public static async Task<Stream> OpenAsync(HttpContent content, CancellationToken cancellationToken)
    {
        Stream stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        List<string> codings = CodingsOf(content);
        if (codings.Count == 0)
        {
            return stream;
        }

        // The last coding was applied last, so it is decoded first.
        foreach (string coding in Enumerable.Reverse(codings))
        {
            stream = coding switch
            {
                "br" => new BrotliStream(stream, CompressionMode.Decompress),
                "deflate" => new DeflatedStream(stream),
                _ => new GZipStream(stream, CompressionMode.Decompress),
            };
        }

        return new DecodedStream(stream);
    }

    /// <summary>
    /// The codings that change the bytes, in the order of their application. Other values, such as <c>utf-8</c> or the
    /// <c>aws-chunked</c> of object stores, are ignored.
    /// </summary>
    private static List<string> CodingsOf(HttpContent content)
    {
        if (!content.Headers.NonValidated.TryGetValues("Content-Encoding", out var values))
        {
            return [];
        }

        return [.. values.SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries)).Select(coding => coding.ToLowerInvariant())
            .Where(coding => coding is "gzip" or "x-gzip" or "deflate" or "br" || s_unknown.Contains(coding))];
    }

    /// <summary>Reads from a decoder, and throws one type of exception for all faults of the decoder.</summary>
    private sealed class DecodedStream(Stream decoder) : ReadOnlyStream
    {
        /// <exception cref="DamagedContentException">The content cannot be decoded.</exception>
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return await decoder.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException and not ObjectDisposedException)
            {
                throw new DamagedContentException(exception);
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                decoder.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
