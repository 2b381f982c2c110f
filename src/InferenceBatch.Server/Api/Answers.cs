using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Wire;
using Microsoft.AspNetCore.WebUtilities;

namespace InferenceBatch.Server.Api;

/// <summary>Writes answers: JSON always.</summary>
internal static class Answers
{
    public static async Task WriteJsonAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            write(json);
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = buffer.WrittenCount;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
        }
    }

    public static Task WriteErrorAsync(HttpContext context, ApiException error) => WriteJsonAsync(
        context, error.Status, json => WireWriter.WriteError(json, error.Message, TypeOf(error.Status), error.Param, error.Code));

    /// <summary>The error for a status that nothing more is known about.</summary>
    public static ApiException ErrorOf(HttpContext context, int status) => status switch
    {
        404 => new ApiException(404, $"Unknown request URL: {context.Request.Method} {context.Request.Path}.", null, "unknown_url"),
        405 => new ApiException(405, $"Method {context.Request.Method} is not allowed for {context.Request.Path}.", null, "method_not_allowed"),
        413 => new ApiException(413, "The request is too large.", null, "request_too_large"),
        415 => new ApiException(415, "The content type is not supported.", null, "unsupported_media_type"),
        431 => new ApiException(431, "The request's headers are too large.", null, "headers_too_large"),
        _ => new ApiException(status, ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } phrase ? phrase + "." : $"Status {status}."),
    };

    /// <summary>The disk refused; what it said names paths, and stays in the log.</summary>
    public static ApiException StorageFailed() =>
        new(507, "The service could not store or read its data: its disk is full or failing. Its log says more.", null, "storage_failed");

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };
}
