#nullable enable
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace InferenceBatch;

/// <summary>The responses and faults of a <see cref="FaultServer"/>.</summary>
public static class Answer
{
    public static Behaviour Json(string json, int status = 200, params string[] headers) =>
        Whole(status, "application/json", Encoding.UTF8.GetBytes(json), headers);

    public static Behaviour Html(int status, params string[] headers) =>
        Whole(status, "text/html", "<!DOCTYPE html><html><body>Not here</body></html>"u8.ToArray(), headers);

    public static Behaviour Empty(int status, params string[] headers) => Whole(status, "application/json", [], headers);

    /// <summary>Redirects to another address.</summary>
    public static Behaviour Redirect(Uri to, int status = 302) => Empty(status, $"Location: {to}");

    public static Behaviour Whole(int status, string contentType, byte[] body, params string[] headers) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync((byte[])[.. Head(status, body.Length, [$"Content-Type: {contentType}", .. headers]), .. body]);
    };

    /// <summary>Selects the behavior by the request.</summary>
    public static Behaviour Choose(Func<Exchange, Behaviour> choose) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        await choose(exchange)(exchange);
    };

    /// <summary>Responds one byte at a time.</summary>
    public static Behaviour Drip(string json) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        foreach (byte one in (byte[])[.. Head(200, json.Length, ["Content-Type: application/json"]), .. Encoding.ASCII.GetBytes(json)])
        {
            await exchange.SendAsync(new[] { one });
        }
    };

    /// <summary>Responds in chunks, without Content-Length.</summary>
    public static Behaviour Chunked(byte[] body, int chunk = 1_000, bool isWhole = true) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        foreach (byte[] part in body.Chunk(chunk))
        {
            await exchange.SendAsync((byte[])[.. Encoding.ASCII.GetBytes($"{part.Length:x}\r\n"), .. part, .. "\r\n"u8]);
        }

        if (isWhole)
        {
            await exchange.SendAsync("0\r\n\r\n");
        }
        else
        {
            exchange.Close();
        }
    };

    /// <summary>Closes the connection after the first bytes of the request's body.</summary>
    public static Behaviour DropInRequest(int bodyBytes) => async exchange =>
    {
        await exchange.ReadBodyAsync(bodyBytes);
        exchange.Abort();
    };

    /// <summary>Reads the request and closes the connection without a response.</summary>
    public static Behaviour Drop { get; } = DropInRequest(int.MaxValue);

    /// <summary>Responds before it reads the body, and closes the connection.</summary>
    public static Behaviour Early(int status, string json) => async exchange =>
    {
        await exchange.SendAsync((byte[])[.. Head(status, json.Length, ["Connection: close"]), .. Encoding.ASCII.GetBytes(json)]);
        exchange.Close();
    };

    /// <summary>Reads the request and never responds.</summary>
    public static Behaviour Stall { get; } = async exchange =>
    {
        await exchange.ReadBodyAsync();
        await Task.Delay(Timeout.Infinite, exchange.Stopped);
    };

    /// <summary>Sends the head and the first bytes of a body, then closes the connection.</summary>
    public static Behaviour CutOff(byte[] body, int after, params string[] headers) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync((byte[])[.. Head(200, body.Length, headers), .. body[..after]]);
        exchange.Close();
    };

    /// <summary>Sends the head and the first bytes of a body, then nothing.</summary>
    public static Behaviour StallAfter(byte[] body, int after) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync((byte[])[.. Head(200, body.Length, []), .. body[..after]]);
        await Task.Delay(Timeout.Infinite, exchange.Stopped);
    };

    /// <summary>Sends a file and supports ranges: 206 from the requested byte, 416 behind the end. Optionally closes the connection after some bytes.</summary>
    public static Behaviour File(byte[] content, int? cutAfter = null) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        int from = exchange.Header("Range") is { } range
            ? int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture) : 0;
        if (from > 0 && from >= content.Length)
        {
            await exchange.SendAsync(Head(416, 0, [$"Content-Range: bytes */{content.Length}"]));
            return;
        }

        byte[] rest = content[from..];
        string[] headers = from > 0 ? [$"Content-Range: bytes {from}-{content.Length - 1}/{content.Length}"] : [];
        await exchange.SendAsync((byte[])[.. Head(from > 0 ? 206 : 200, rest.Length, headers), .. rest[..Math.Min(cutAfter ?? rest.Length, rest.Length)]]);
        if (cutAfter < rest.Length)
        {
            exchange.Close();
        }
    };

    /// <summary>An answer with any of these faults, for PowerShell, which cannot write asynchronous functions.</summary>
    /// <param name="status">The status.</param>
    /// <param name="body">The body.</param>
    /// <param name="headers">All headers but Content-Length and Content-Range.</param>
    /// <param name="cutAfter">Announce the whole body, send so many bytes of it, and close the connection; -1 for all.</param>
    /// <param name="stallAfter">Send so many bytes of the body, then nothing until the client closes the connection; -1 for all.</param>
    /// <param name="ranges">Answer a request with a range with 206 and the rest of the body.</param>
    public static Behaviour Scripted(int status, byte[] body, string[] headers, int cutAfter, int stallAfter, bool ranges) => async exchange =>
    {
        await exchange.ReadBodyAsync();
        string? range = ranges ? exchange.Header("Range") : null;
        int from = range is null ? 0 : int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
        string[] all = range is null ? headers : [.. headers, $"Content-Range: bytes {from}-{body.Length - 1}/{body.Length}"];
        await exchange.SendAsync(Head(range is null ? status : 206, body.Length - from, all));
        int end = Math.Min(cutAfter >= 0 ? cutAfter : stallAfter >= 0 ? stallAfter : body.Length, body.Length);
        if (end > from)
        {
            await exchange.SendAsync(body.AsMemory(from..end));
        }

        if (stallAfter >= 0)
        {
            await exchange.ClientGoneAsync();
        }

        if (stallAfter >= 0 || cutAfter >= 0)
        {
            exchange.Close();
        }
    };

    private static byte[] Head(int status, int length, string[] headers) =>
        Encoding.ASCII.GetBytes($"HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n{string.Concat(headers.Select(header => header + "\r\n"))}\r\n");
}
