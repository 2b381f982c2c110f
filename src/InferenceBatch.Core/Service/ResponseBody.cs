using InferenceBatch.Http;

namespace InferenceBatch.Service;

/// <summary>Reads the body of a response into memory.</summary>
internal static class ResponseBody
{
    /// <summary>Reads and decodes a body. Stops after the first read that reaches the limit, in bytes after decoding.</summary>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpResponseMessage response, int limit, CancellationToken cancellationToken)
    {
        Stream stream = await ContentDecoding.OpenAsync(response.Content, cancellationToken).ConfigureAwait(false);
        var body = new MemoryStream();
        byte[] buffer = new byte[16 * 1024];
        int read;
        while (body.Length < limit && (read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            body.Write(buffer, 0, read);
        }

        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }

    /// <summary>Whether a body starts like a JSON object or array.</summary>
    public static bool LooksLikeJson(ReadOnlySpan<byte> body) =>
        body.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];
}
