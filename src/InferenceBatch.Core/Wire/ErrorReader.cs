using System.Text;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// The one reader of errors: in HTTP responses, batches and result lines. Knows <c>{"error":{…}}</c>, <c>{"error":"text"}</c>,
/// <c>errors</c> (a list, <c>{"data":[…]}</c>, or messages by field), FastAPI's <c>detail</c> (a text or a list with <c>loc</c>
/// and <c>msg</c>), problem details (RFC 9457), objects with a message under another name, lists of these, and text. Secrets
/// are masked (<see cref="SecretMask"/>), and no text can control a terminal (<see cref="PlainText"/>).
/// </summary>
public static class ErrorReader
{
    private const int MaxMessageLength = 500;
    private const int MaxCodeLength = 200;

    /// <summary>The number of a list's errors whose messages are read.</summary>
    private const int MaxListed = 3;

    /// <summary>The code of an error without a code.</summary>
    internal const string NoCode = "error";

    private static readonly string[] s_messageNames =
        ["message", "detail", "error_msg", "error_message", "errorMessage", "msg", "error_description", "Message", "reason"];

    private static readonly string[] s_codeNames = ["code", "error_code", "errorCode", "Code"];
    private static readonly string[] s_typeNames = ["type", "error_type", "__type"];

    /// <summary>Reads the body of an HTTP response: JSON, or a short text. Null if it is neither (HTML, empty, cut off).</summary>
    public static ServiceError? ReadBody(ReadOnlyMemory<byte> body)
    {
        try
        {
            using JsonDocument document = BrokenText.Parse(body);
            return Read(document.RootElement);
        }
        catch (JsonException)
        {
            return ReadPlain(Encoding.UTF8.GetString(body.Span));
        }
    }

    /// <summary>Reads an error, or an object with an error in its <c>error</c>; null if there is none.</summary>
    public static ServiceError? Read(JsonElement? element)
    {
        switch (element?.ValueKind)
        {
            case JsonValueKind.String:
                return element.Text() is { } text && !string.IsNullOrWhiteSpace(text) ? new ServiceError(NoCode, Shorten(text)) : null;
            case JsonValueKind.Array:
                return ReadItems(element.Value.EnumerateArray().Select(item => Read(item)));
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
        ServiceError? own = ReadMessage(element);
        if (element.Field("error") is { } error && Read(error) is { } inner)
        {
            return error.ValueKind != JsonValueKind.String ? WithCode(inner, code)
                // {"error":"invalid_grant","error_description":"text"}, {"error":"Not Found","message":"text"}.
                : own is null ? WithCode(inner, code)
                : WithCode(own, code ?? (IsWord(inner.Message) ? inner.Message : null));
        }

        if (own is null || own.Message.Length == 0)
        {
            own = ReadErrors(element.Field("errors")) ?? own;
        }

        return own is null && code is null ? null : new ServiceError(
            code ?? own!.Code,
            own?.Message ?? "",
            SecretMask.Of(element.Field("param").Name()) ?? own?.Param ?? ReadLocation(element.Field("loc")),
            ReadLine(element.Field("line")) ?? own?.Line);
    }

    /// <summary>Reads the message of an object, which may be an error itself: <c>{"message":{"detail":[…]},"type":"…"}</c>.</summary>
    private static ServiceError? ReadMessage(JsonElement element)
    {
        ServiceError? message = s_messageNames.Select(name => Read(element.Field(name))).FirstOrDefault(read => read is not null);
        message ??= s_messageNames.Select(name => element.Field(name)).FirstOrDefault(shaped => shaped?.ValueKind is JsonValueKind.Object or JsonValueKind.Array) is { } other && other.GetRawText().Length > 2
            ? new ServiceError(NoCode, Shorten(other.GetRawText())) : null;
        string? title = element.Field("title").Name();
        if (title is not null)
        {
            // Problem details: the detail is about this response, and the title about the kind of problem.
            return message is null ? WithErrors(Shorten(title), element) : message.Message.Contains(title, StringComparison.OrdinalIgnoreCase)
                ? message : message with { Message = Shorten($"{title.TrimEnd('.', ':')}: {message.Message}") };
        }

        return message is not null && ReadLocation(element.Field("loc")) is { } location ? message with { Message = Shorten($"{location}: {message.Message}") } : message;
    }

    /// <summary>ASP.NET Core: a title, and the errors of the fields.</summary>
    private static ServiceError WithErrors(string title, JsonElement element) => ReadErrors(element.Field("errors")) is { Message.Length: > 0 } errors
        ? errors with { Message = Shorten($"{title.TrimEnd('.', ':')}: {errors.Message}") } : new ServiceError(NoCode, title);

    /// <summary>Reads <c>errors</c>: a list, <c>{"data":[…]}</c>, or the messages of each field, <c>{"model":["is missing"]}</c>.</summary>
    private static ServiceError? ReadErrors(JsonElement? errors)
    {
        if (errors?.ValueKind != JsonValueKind.Object)
        {
            return Read(errors);
        }

        return Read(errors.Value.Field("data")) ?? ReadObject(errors.Value) ?? ReadItems(errors.Value.EnumerateObject().Select(field =>
            Read(field.Value) is { } error && PlainText.Of(BrokenText.ReadName(field)) is { Length: > 0 } name
                ? error with { Message = Shorten($"{name}: {error.Message}"), Param = error.Param ?? SecretMask.Of(name) } : null));
    }

    /// <summary>Returns the first error, with the messages of the next ones.</summary>
    private static ServiceError? ReadItems(IEnumerable<ServiceError?> items)
    {
        ServiceError[] errors = [.. items.OfType<ServiceError>().Take(MaxListed)];
        return errors.Length == 0 ? null
            : errors[0] with { Message = Shorten(string.Join("; ", errors.Select(error => error.Message).Where(message => message.Length > 0).Distinct(StringComparer.Ordinal))) };
    }

    /// <summary>Returns FastAPI's <c>loc</c>, the path of the field, without the <c>body</c> at its start; null if there is none.</summary>
    private static string? ReadLocation(JsonElement? location)
    {
        if (location?.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        string path = string.Join('.', location.Value.EnumerateArray().Take(10).Select(part => ((JsonElement?)part).Name()).Where((part, i) => part is not null && (i > 0 || part != "body")));
        return path.Length > 0 ? SecretMask.Of(PlainText.OneLine(path, MaxCodeLength)) : null;
    }

    /// <summary>Reads a text that is not JSON, such as <c>model not found</c>; null if it is empty, HTML, or JSON that was cut off.</summary>
    private static ServiceError? ReadPlain(string text)
    {
        text = text.Trim();
        bool isText = text.Length > 0 && text[0] is not ('<' or '{' or '[' or '"' or '\uFFFD') && !text.Contains('\0', StringComparison.Ordinal);
        return isText ? new ServiceError(NoCode, Shorten(text)) : null;
    }

    /// <summary>
    /// Reads the code: <c>code</c>, otherwise <c>type</c>. If <c>code</c> only repeats the HTTP status, <c>type</c> (llama.cpp,
    /// vLLM) or <c>status</c> (Google: <c>INVALID_ARGUMENT</c>) is used, because it is more specific.
    /// </summary>
    private static string? ReadCode(JsonElement element)
    {
        string? code = First(element, s_codeNames);
        string? type = First(element, s_typeNames);
        type = type is not null && type.Contains(':', StringComparison.Ordinal) ? NameInUri(type) : type;
        string? found = code is null ? type
            : !HttpErrorStatus.IsStatus(code) ? code
            : new[] { type, element.Field("status").Name() }.FirstOrDefault(word => word is not null and not NoCode && !HttpErrorStatus.IsStatus(word)) ?? code;
        return found is null ? null : SecretMask.Of(PlainText.OneLine(found, MaxCodeLength));
    }

    private static string? First(JsonElement element, string[] names) => names.Select(name => element.Field(name).Name()).FirstOrDefault(text => text is not null);

    /// <summary>
    /// Returns the name at the end of the URI that is the type of a problem (RFC 9457), such as <c>out-of-credit</c>; null if it
    /// ends in something else, such as a status or a section of an RFC. A type that is not a URI is returned unchanged.
    /// </summary>
    private static string? NameInUri(string type)
    {
        if (!Uri.TryCreate(type, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https" or "urn" or "about" or "tag"))
        {
            return type;
        }

        string end = type[(type.LastIndexOfAny(['/', ':', '#', '?']) + 1)..];
        bool isName = uri.Scheme != "about" && uri.AbsolutePath.Trim('/').Length > 0 && !type.Contains('#', StringComparison.Ordinal) && IsWord(end) && end.Any(char.IsAsciiLetter) && !end.Contains('.', StringComparison.Ordinal);
        return isName ? end : null;
    }

    private static ServiceError WithCode(ServiceError error, string? code) =>
        error.Code == NoCode && code is not null && !HttpErrorStatus.IsStatus(code) ? error with { Code = code } : error;

    private static bool IsWord(string text) => text.Length is > 0 and <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.');

    private static int? ReadLine(JsonElement? line) => line.Integer() is >= 0 and <= int.MaxValue and { } number ? (int)number : null;

    /// <summary>Returns a service's message without secrets and control characters, 500 characters at most: it may be a whole web page.</summary>
    internal static string Shorten(string text)
    {
        text = PlainText.Of(SecretMask.Of(text));
        return text.Length <= MaxMessageLength ? text : TextCut.Start(text, MaxMessageLength) + "…";
    }
}
