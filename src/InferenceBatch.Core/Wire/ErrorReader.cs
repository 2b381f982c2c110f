using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// Reads the errors of services in all known forms: <c>{"error":{…}}</c>, <c>{"error":"text"}</c>, an object with
/// <c>message</c> or <c>detail</c>, or a string. Secrets are masked (<see cref="SecretMask"/>).
/// </summary>
public static class ErrorReader
{
    private const int MaxMessageLength = 500;

    /// <summary>The code of an error without a code.</summary>
    internal const string NoCode = "error";

    /// <summary>Reads the body of an HTTP response; null if it is not JSON (HTML, empty, cut off).</summary>
    public static ServiceError? ReadBody(ReadOnlyMemory<byte> body)
    {
        try
        {
            using JsonDocument document = BrokenText.Parse(body);
            return Read(document.RootElement);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Reads an error, or an object with an error in its <c>error</c>; null if there is none.</summary>
    public static ServiceError? Read(JsonElement? element)
    {
        switch (element?.ValueKind)
        {
            case JsonValueKind.String:
                return element.Name() is { } text ? new ServiceError(NoCode, Shorten(text)) : null;
            case JsonValueKind.Array:
                return element.Value.EnumerateArray().Select(item => Read(item)).FirstOrDefault(error => error is not null);
            case JsonValueKind.Object:
                return ReadObject(element.Value);
            default:
                return null;
        }
    }

    /// <summary>Reads a batch's <c>errors</c>: null, an array, <c>{"data":[…]}</c>, one object or a string.</summary>
    public static IReadOnlyList<ServiceError> ReadList(JsonElement? element)
    {
        // Arrays, because PowerShell cannot index the type that a collection expression creates for an IReadOnlyList.
        JsonElement? items = element?.Field("data") ?? element;
        return items?.ValueKind == JsonValueKind.Array
            ? items.Value.EnumerateArray().Select(item => Read(item)).OfType<ServiceError>().ToArray()
            : Read(items) is { } one ? (ServiceError[])[one] : [];
    }

    private static ServiceError? ReadObject(JsonElement element)
    {
        string? code = ReadCode(element);
        if (Read(element.Field("error")) is { } inner)
        {
            // {"error":"text","code":"rate_limited"}: the code is next to the error.
            return inner.Code == NoCode && code is not null && !HttpErrorStatus.IsStatus(code) ? inner with { Code = code } : inner;
        }

        JsonElement? message = element.Field("message", "detail");
        string? text = message.Name() ?? (message is { } shaped ? shaped.GetRawText() : null);
        return code is null && text is null ? null
            : new ServiceError(SecretMask.Of(code) ?? NoCode, Shorten(text ?? ""), SecretMask.Of(element.Field("param").Name()), ReadLine(element.Field("line")));
    }

    /// <summary>
    /// Reads the code: <c>code</c>, otherwise <c>type</c>. If <c>code</c> only repeats the HTTP status, <c>type</c> (llama.cpp,
    /// vLLM) or <c>status</c> (Google: <c>INVALID_ARGUMENT</c>) is used, because it is more specific.
    /// </summary>
    private static string? ReadCode(JsonElement element)
    {
        string? code = element.Field("code").Name();
        string? type = element.Field("type").Name();
        if (code is null)
        {
            return type;
        }

        return !HttpErrorStatus.IsStatus(code) ? code
            : new[] { type, element.Field("status").Name() }.FirstOrDefault(word => word is not null and not NoCode && !HttpErrorStatus.IsStatus(word)) ?? code;
    }

    private static int? ReadLine(JsonElement? line) => line.Integer() is >= 0 and <= int.MaxValue and { } number ? (int)number : null;

    /// <summary>Returns a service's message without secrets, 500 characters at most: it may be a whole web page.</summary>
    internal static string Shorten(string text)
    {
        text = SecretMask.Of(text);
        return text.Length <= MaxMessageLength ? text : TextCut.Start(text, MaxMessageLength) + "…";
    }
}
