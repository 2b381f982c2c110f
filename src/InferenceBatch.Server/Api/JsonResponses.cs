using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Storage;
using InferenceBatch.Wire;
using Microsoft.AspNetCore.WebUtilities;

namespace InferenceBatch.Server.Api;

/// <summary>Writes responses, which are always JSON.</summary>
internal static class JsonResponses
{
    /// <summary>The methods of a route that only reads (RFC 9110, section 9.1: a route with GET also supports HEAD).</summary>
    public static string[] ReadMethods { get; } = [HttpMethods.Get, HttpMethods.Head];

    public static async Task WriteJsonAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = Json(write);
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = buffer.WrittenCount;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
        }
    }

    public static Task WriteErrorAsync(HttpContext context, ApiException error) => WriteJsonAsync(context, error.Status, json => WriteError(json, error));

    /// <summary>Returns a complete HTTP response for a request that is not valid HTTP.</summary>
    public static byte[] RawError(int status)
    {
        ApiException error = status switch
        {
            405 => new ApiException(status, "The method is not allowed.", null, "method_not_allowed"),
            408 => new ApiException(status, "The request's headers did not arrive in time.", null, "request_timeout"),
            413 or 414 or 431 => new ApiException(status, "The request's URL or headers are too large.", null, status == 414 ? "url_too_long" : "headers_too_large"),
            505 => new ApiException(status, "The service supports only HTTP/1.1.", null, "http_version_not_supported"),
            _ => new ApiException(status, "The request is not valid HTTP/1.1.", null, "invalid_http"),
        };
        ArrayBufferWriter<byte> body = Json(json => WriteError(json, error));
        string head = string.Create(CultureInfo.InvariantCulture, $"""
            HTTP/1.1 {status} {ReasonPhrases.GetReasonPhrase(status)}
            Connection: close
            Content-Type: application/json
            Content-Length: {body.WrittenCount}
            x-request-id: {Ids.NewRequest()}


            """).ReplaceLineEndings("\r\n");
        return [.. Encoding.ASCII.GetBytes(head), .. body.WrittenSpan];
    }

    /// <summary>Returns the error for a status without further details.</summary>
    public static ApiException ErrorOf(HttpContext context, int status) => status switch
    {
        400 => new ApiException(400, "The request is not valid HTTP/1.1.", null, "invalid_http"),
        404 => new ApiException(404, $"Unknown request URL: {Shorten(context.Request)}.", null, "unknown_url"),
        405 => new ApiException(405, $"Method not allowed: {Shorten(context.Request)}.", null, "method_not_allowed"),
        408 => new ApiException(408, "The request's body did not arrive in time.", null, "request_timeout"),
        413 => new ApiException(413, "The request is too large.", null, "request_too_large"),
        415 => new ApiException(415, "The content type is not supported.", null, "unsupported_media_type"),
        431 => new ApiException(431, "The request's headers are too large.", null, "headers_too_large"),
        _ => new ApiException(status, ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } phrase ? phrase + "." : $"Status {status}."),
    };

    /// <summary>The error for a failed disk. The message of the system is only logged, because it contains paths.</summary>
    public static ApiException StorageFailed() =>
        new(507, "The service cannot read or write its data, because its disk is full or failing. The log of the service has details.", null, "storage_failed");

    private static string Shorten(HttpRequest request) => TextCut.Start($"{request.Method} {request.PathBase}{request.Path}", 200);

    private static ArrayBufferWriter<byte> Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions);
        write(json);
        return buffer;
    }

    private static void WriteError(Utf8JsonWriter json, ApiException error) =>
        WireWriter.WriteError(json, error.Message, TypeOf(error.Status), error.Param, error.Code);

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };
}
