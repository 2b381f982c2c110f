using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// Reads what a service says went wrong, in every shape seen: <c>{"error":{…}}</c>, <c>{"error":"text"}</c>, a bare
/// object with <c>message</c> or <c>detail</c>, a string, HTML, nothing. What it gives holds no secret (<see cref="SecretMask"/>).
/// </summary>
public static class ErrorReader
{
    private const int LongestMessage = 500;

    /// <summary>The code of an error that names none.</summary>
    internal const string NoCode = "error";

    /// <summary>Reads the body of an HTTP answer; null when it is not JSON (HTML, empty, cut off).</summary>
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

    /// <summary>Reads an error value, or an object that holds one under <c>error</c>; null when there is none.</summary>
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
        // Arrays, for PowerShell cannot index what a collection expression makes of an IReadOnlyList.
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
            // {"error":"text","code":"rate_limited"}: the code stands beside the error.
            return inner.Code == NoCode && code is not null && !HttpErrorStatus.IsStatus(code) ? inner with { Code = code } : inner;
        }

        JsonElement? message = element.Field("message", "detail");
        string? text = message.Name() ?? (message is { } shaped ? shaped.GetRawText() : null);
        return code is null && text is null ? null
            : new ServiceError(SecretMask.Of(code) ?? NoCode, Shorten(text ?? ""), SecretMask.Of(element.Field("param").Name()), ReadLine(element.Field("line")));
    }

    /// <summary>
    /// Reads the word that tells what went wrong: <c>code</c>, else <c>type</c>. Where <c>code</c> only repeats the HTTP
    /// status, <c>type</c> (llama.cpp, vLLM) or <c>status</c> (Google: <c>INVALID_ARGUMENT</c>) tells more.
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

    private static int? ReadLine(JsonElement? line) => line.Whole() is >= 0 and <= int.MaxValue and { } number ? (int)number : null;

    /// <summary>A service's message without secrets, cut where it is no message any more, such as a page of HTML.</summary>
    internal static string Shorten(string text)
    {
        text = SecretMask.Of(text);
        return text.Length <= LongestMessage ? text : TextCut.Start(text, LongestMessage) + "…";
    }
}
