using System.Buffers;
using System.Globalization;
using InferenceBatch.Model;
using Microsoft.Net.Http.Headers;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.Api;

/// <summary>Sends a file or a part of it, selected by <c>Range</c> (RFC 9110, section 14) or by <c>?offset=N</c>, which skips N lines.</summary>
/// <param name="path">The path of the file.</param>
/// <param name="length">The number of bytes to show; the file of a running batch may be longer.</param>
/// <param name="lines">The number of lines in these bytes; null if unknown.</param>
/// <param name="etag">Identifies the content; null while the file can still grow.</param>
internal sealed class FileContent(string path, long length, long? lines, string? etag)
{
    private const int ChunkSize = 128 * 1024;

    /// <summary>Sends the response.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="ApiException">400 for the offset, 416 for the range.</exception>
    public async Task SendAsync(HttpContext context)
    {
        long? skip = OffsetLines(context.Request);
        using SafeFileHandle handle = File.OpenHandle(
            path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.SequentialScan | FileOptions.Asynchronous);
        HttpResponse response = context.Response;
        response.Headers.AcceptRanges = "bytes";
        response.Headers.ETag = etag is null ? default : $"\"{etag}\"";
        response.Headers["X-Incomplete"] = etag is null ? "true" : "false";
        if (lines is { } count)
        {
            response.Headers["X-Last-Line"] = count.ToString(CultureInfo.InvariantCulture);
        }

        long first = skip > 0 ? await StartOfLineAsync(handle, skip.Value, context.RequestAborted) : 0;
        long end = length;
        if (RangeOf(context.Request, length - first) is { } range)
        {
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = $"bytes {range.From}-{range.To}/{length - first}";
            (first, end) = (first + range.From, first + range.To + 1);
        }

        // The type that OpenAI's service sends. Stainless clients, such as openai 6.30.1 (npm), parse every type that contains
        // "application/json", which "application/jsonl" does, as one JSON value.
        response.ContentType = "application/octet-stream";
        response.ContentLength = end - first;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await CopyAsync(handle, first, end, response.Body, context.RequestAborted);
        }
    }

    private static long? OffsetLines(HttpRequest request)
    {
        if (PageQuery.Text(request, "offset") is not { } text)
        {
            return null;
        }

        return WholeNumber.TryRead(text, 0, long.MaxValue, out long offset)
            ? offset
            : throw ApiException.InvalidValue("Invalid value for 'offset': it must be a number of lines, 0 or more.", "offset");
    }

    private (long From, long To)? RangeOf(HttpRequest request, long available)
    {
        if (!RangeHeaderValue.TryParse(request.Headers.Range.ToString(), out RangeHeaderValue? range)
            || range.Unit != "bytes" || range.Ranges.Count != 1
            || (request.Headers.IfRange.Count > 0 && (etag is null || request.Headers.IfRange.ToString() != $"\"{etag}\"")))
        {
            return null; // For several ranges, another unit, or a changed file, the whole file is a valid response.
        }

        RangeItemHeaderValue item = range.Ranges.First();
        long from = item.From ?? Math.Max(0, available - item.To!.Value);
        long to = item.From is null ? available - 1 : Math.Min(item.To ?? long.MaxValue, available - 1);
        if (from > to)
        {
            request.HttpContext.Response.Headers.ContentRange = $"bytes */{available}";
            throw new ApiException(416, PluralFormat.Invariant($"The range is not within the file's {available} {available:byte|bytes}."), "Range", "range_not_satisfiable");
        }

        return (from, to);
    }

    private async Task<long> StartOfLineAsync(SafeFileHandle handle, long skip, CancellationToken cancellationToken)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            long position = 0;
            while (position < length)
            {
                int read = await RandomAccess.ReadAsync(handle, chunk.AsMemory(0, (int)Math.Min(chunk.Length, length - position)), position, cancellationToken);
                if (read == 0)
                {
                    break;
                }

                for (int i = 0; i < read; i++)
                {
                    int next = chunk.AsSpan(i, read - i).IndexOf((byte)'\n');
                    if (next < 0)
                    {
                        break;
                    }

                    i += next;
                    if (--skip == 0)
                    {
                        return position + i + 1;
                    }
                }

                position += read;
            }

            return length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private static async Task CopyAsync(SafeFileHandle handle, long first, long end, Stream to, CancellationToken cancellationToken)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            while (first < end)
            {
                int read = await RandomAccess.ReadAsync(handle, chunk.AsMemory(0, (int)Math.Min(chunk.Length, end - first)), first, cancellationToken);
                if (read == 0)
                {
                    throw new EndOfStreamException("The file became shorter while it was read.");
                }

                await to.WriteAsync(chunk.AsMemory(0, read), cancellationToken);
                first += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }
}
