using System.Globalization;
using System.Text.Json;

namespace InferenceBatch.Wire;

/// <summary>
/// Finds the HTTP status of an error in a body: gateways forward an upstream's failure in a response with status 200, and
/// result lines may have an error without a response.
/// </summary>
public static class HttpErrorStatus
{
    private static readonly string[] s_names = ["status", "status_code", "statusCode", "http_status", "code"];

    private static readonly string[] s_wordNames = ["code", "type", "status"];

    /// <summary>
    /// The codes and types that OpenAI, Azure, Anthropic, Google, llama.cpp, vLLM and OpenRouter document, in lower case
    /// without separators and without a final "error". Other codes have no status.
    /// </summary>
    private static readonly Dictionary<string, int> s_words = new()
    {
        ["badrequest"] = 400,
        ["invalidrequest"] = 400,
        ["invalidargument"] = 400,
        ["invalidprompt"] = 400,
        ["contextlengthexceeded"] = 400,
        ["exceedcontextsize"] = 400,
        ["contentpolicyviolation"] = 400,
        ["contentfilter"] = 400,
        ["authentication"] = 401,
        ["invalidapikey"] = 401,
        ["unauthorized"] = 401,
        ["unauthenticated"] = 401,
        ["insufficientcredits"] = 402,
        ["billing"] = 402,
        ["paymentrequired"] = 402,
        ["permission"] = 403,
        ["permissiondenied"] = 403,
        ["forbidden"] = 403,
        ["notfound"] = 404,
        ["modelnotfound"] = 404,
        ["requesttimeout"] = 408,
        ["insufficientquota"] = 429,
        ["billinghardlimitreached"] = 429,
        ["billingnotactive"] = 429,
        ["ratelimit"] = 429,
        ["ratelimited"] = 429,
        ["ratelimitexceeded"] = 429,
        ["toomanyrequests"] = 429,
        ["resourceexhausted"] = 429,
        ["server"] = 500,
        ["internal"] = 500,
        ["internalserver"] = 500,
        ["api"] = 500,
        ["notsupported"] = 501,
        ["notimplemented"] = 501,
        ["unimplemented"] = 501,
        ["badgateway"] = 502,
        ["overloaded"] = 503,
        ["unavailable"] = 503,
        ["serviceunavailable"] = 503,
        ["insufficientsystemresource"] = 503,
        ["timeout"] = 504,
        ["gatewaytimeout"] = 504,
        ["deadlineexceeded"] = 504,
    };

    /// <summary>
    /// Reads the status of an error: the number in the error or next to it, otherwise the meaning of its code or type; null if
    /// there is neither.
    /// </summary>
    /// <param name="element">An error, or an object with an error in its <c>error</c>.</param>
    public static int? Read(JsonElement? element)
    {
        if (element?.ValueKind == JsonValueKind.Array)
        {
            return element.Value.EnumerateArray().Select(item => Read(item)).FirstOrDefault(status => status is not null);
        }

        JsonElement? inner = element?.Field("error");
        return Number(inner) ?? Number(element) ?? Word(inner) ?? Word(element);
    }

    /// <summary>Returns the status of an error code; null if it has none.</summary>
    public static int? OfCode(string code)
    {
        if (IsStatus(code))
        {
            return int.Parse(code, CultureInfo.InvariantCulture) is >= 400 and var status ? status : null;
        }

        string word = code.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal)
            .Replace(" ", "", StringComparison.Ordinal).ToLowerInvariant();
        word = word.EndsWith("error", StringComparison.Ordinal) ? word[..^"error".Length] : word;
        return s_words.TryGetValue(word, out int meant) ? meant : null;
    }

    /// <summary>Whether a code is only an HTTP status: three digits, 100 to 599.</summary>
    internal static bool IsStatus(string code) => code is [>= '1' and <= '5', >= '0' and <= '9', >= '0' and <= '9'];

    /// <summary>Reads a status that is given as a number. A number in place of the error is its status: <c>{"error":502}</c>.</summary>
    private static int? Number(JsonElement? element) => element?.ValueKind == JsonValueKind.Object
        ? s_names.Select(name => AsStatus(element.Value.Field(name))).FirstOrDefault(status => status is not null)
        : AsStatus(element);

    private static int? AsStatus(JsonElement? value) => value.Integer() is >= 400 and <= 599 and { } status ? (int)status : null;

    private static int? Word(JsonElement? element) => element?.ValueKind == JsonValueKind.Object
        ? s_wordNames.Select(name => element.Value.Field(name).Text())
            .Select(text => text is null ? null : OfCode(text)).FirstOrDefault(status => status is not null)
        : null;
}
