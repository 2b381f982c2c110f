using System.Text.Json;
using InferenceBatch.Lines;
using Microsoft.Net.Http.Headers;

namespace InferenceBatch.Server.Api;

/// <summary>Reads request bodies that are small JSON objects.</summary>
internal static class JsonBody
{
    private const int MaxBytes = 1024 * 1024;

    private static readonly JsonDocumentOptions s_strict = new() { AllowDuplicateProperties = false };

    /// <summary>Reads the body as one JSON object. The caller disposes the document.</summary>
    /// <exception cref="ApiException">400, 413 or 415.</exception>
    public static async Task<JsonDocument> ReadAsync(HttpContext context)
    {
        // Strict on purpose: a page of another site cannot send this type without a preflight request of the browser.
        if (!MediaTypeHeaderValue.TryParse(context.Request.ContentType, out MediaTypeHeaderValue? type)
            || !type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
        {
            throw new ApiException(415, "The content type must be 'application/json'.", null, "unsupported_media_type");
        }

        using var buffer = new MemoryStream();
        byte[] chunk = new byte[16 * 1024];
        int read;
        while ((read = await context.Request.Body.ReadAsync(chunk, context.RequestAborted)) > 0)
        {
            if (buffer.Length + read > MaxBytes)
            {
                throw new ApiException(413, $"The request is larger than {MaxBytes} bytes.", null, "request_too_large");
            }

            buffer.Write(chunk, 0, read);
        }

        // Half a surrogate pair in a name or value cannot be read or returned.
        if (!RequestLine.Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length), out _, out LineProblem problem)
            && problem is LineProblem.LoneSurrogate or LineProblem.InvalidUtf8)
        {
            throw new ApiException(400, "The request contains text that is not valid UTF-8, or half a surrogate pair.", null, "invalid_json");
        }

        try
        {
            var document = JsonDocument.Parse(buffer.GetBuffer().AsMemory(0, (int)buffer.Length), s_strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
            throw new ApiException(400, "The request must be a JSON object.", null, "invalid_json");
        }
        catch (JsonException)
        {
            throw new ApiException(400, "The request is not valid JSON, is nested too deeply, or contains a field twice.", null, "invalid_json");
        }
    }

    /// <summary>Returns the text of a field; null if the field is missing or null.</summary>
    /// <exception cref="ApiException">400 <c>invalid_type</c>.</exception>
    public static string? Text(JsonElement json, string name) => Field(json, name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => TextOf(text, name),
        _ => throw ApiException.InvalidType($"Invalid type for '{name}': it must be a string.", name),
    };

    /// <summary>Returns a field; null if it is missing or null.</summary>
    public static JsonElement? Field(JsonElement json, string name) =>
        json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Returns the text of a JSON string.</summary>
    /// <exception cref="ApiException">400: it contains half a surrogate pair, or bytes that are not UTF-8.</exception>
    public static string TextOf(JsonElement text, string name)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw ApiException.InvalidValue($"'{name}' is not valid text.", name);
        }
    }
}
