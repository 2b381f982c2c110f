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
                return element.Name() is { } text ? new ServiceError("error", Shorten(text)) : null;
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
        if (Read(element.Field("error")) is { } inner)
        {
            return inner;
        }

        string? code = element.Field("code").Name();
        string? type = element.Field("type").Name() ?? element.Field("status").Name();
        // A code that only repeats the HTTP status says less than the type beside it.
        code = code is null || (IsStatus(code) && type is not null && !IsStatus(type)) ? type ?? code : code;
        JsonElement? message = element.Field("message", "detail");
        string? text = message.Name() ?? (message is { } shaped ? shaped.GetRawText() : null);
        return code is null && text is null ? null
            : new ServiceError(SecretMask.Of(code) ?? "error", Shorten(text ?? ""), SecretMask.Of(element.Field("param").Name()), ReadLine(element.Field("line")));
    }

    private static bool IsStatus(string code) => code.Length == 3 && code[0] is ('4' or '5') && char.IsAsciiDigit(code[1]) && char.IsAsciiDigit(code[2]);

    private static int? ReadLine(JsonElement? line) => line.Whole() is >= 0 and <= int.MaxValue and { } number ? (int)number : null;

    /// <summary>A service's message without secrets, cut where it is no message any more, such as a page of HTML.</summary>
    internal static string Shorten(string text)
    {
        text = SecretMask.Of(text);
        return text.Length <= LongestMessage ? text : TextCut.Start(text, LongestMessage) + "…";
    }
}
