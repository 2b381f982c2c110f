using System.IO.Compression;

namespace InferenceBatch.Http;

/// <summary>
/// Decodes the content codings of RFC 9110 section 8.4.1 (gzip, x-gzip, deflate), brotli (RFC 7932), and several of them on
/// top of each other. Some gateways compress answers although the request asked for <c>identity</c>.
/// </summary>
public static class ContentDecoding
{
    /// <summary>The value of <c>Accept-Encoding</c> that asks for content as it is, so that byte ranges count its own bytes.</summary>
    public const string Identity = "identity";

    /// <summary>More codings than anybody applies.</summary>
    private const int MostCodings = 5;

    private static readonly string[] s_unknown = ["zstd", "compress", "x-compress", "dcb", "dcz"];

    /// <summary>Whether the bytes of a content are not the content's own.</summary>
    public static bool IsEncoded(HttpContent content) => CodingsOf(content).Count > 0;

    /// <summary>The codings of a content that cannot be decoded; null where all can be.</summary>
    public static string? UnknownIn(HttpContent content)
    {
        List<string> codings = CodingsOf(content);
        return codings.Count > MostCodings || codings.Exists(s_unknown.Contains) ? string.Join(", ", codings) : null;
    }

    /// <summary>
    /// Opens a content, decoded. Reading throws a <see cref="DamagedContentException"/> where it is damaged. Memory does not grow with
    /// what comes out: whoever reads must bound that.
    /// </summary>
    public static async Task<Stream> OpenAsync(HttpContent content, CancellationToken cancellationToken)
    {
        Stream stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        List<string> codings = CodingsOf(content);
        if (codings.Count == 0)
        {
            return stream;
        }

        // The last one was applied last.
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
    /// The codings that change the bytes, in the order they were applied. Other words, such as <c>utf-8</c> or the
    /// <c>aws-chunked</c> that object stores leave there, stand for none.
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
}
