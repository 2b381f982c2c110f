using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// What every service of an endpoint requires of a request's body: that the input exists, is of the right kind and not
/// empty. Rules that only some services have are not checked. Sources: OpenAI's API reference; llama-server, vLLM and
/// text-embeddings-inference refuse the same.
/// </summary>
public static class BodyRules
{
    /// <summary>Returns what is wrong with the body of a request; null if nothing is, or if its endpoint is not known.</summary>
    public static string? FindFault(BatchRequest request) =>
        RequestLine.ParseBody(request.BodyUtf8.Span, out RequestLine line) && Check(Encoding.UTF8.GetBytes(request.Url), in line) is { } fault ? fault.Message : null;

    /// <summary>Returns the first fault of a body; null if it has none, or if the endpoint is not known.</summary>
    /// <param name="endpoint">The endpoint, with or without <c>/v1</c>.</param>
    internal static (string Code, string Message, string Param)? Check(ReadOnlySpan<byte> endpoint, in RequestLine request)
    {
        if (endpoint.EndsWith("/chat/completions"u8))
        {
            return Check("messages", request.Messages, "an array of objects with 'role' and 'content'") ?? CheckOther(in request);
        }

        if (endpoint.EndsWith("/responses"u8))
        {
            // A stored prompt or conversation may stand for the input.
            bool isOptional = request.HasContext || request.Prompt.Kind != JsonTokenType.None;
            return Check("input", request.Input, "text or an array of objects", isOptional) ?? CheckOther(in request);
        }

        if (endpoint.EndsWith("/embeddings"u8) || endpoint.EndsWith("/moderations"u8))
        {
            // vLLM embeds the messages of a chat as well. Any text can be embedded, also one that looks truncated.
            return request.Input.Fault == BodyFault.Truncated ? null
                : Check("input", request.Input, "text or an array", isOptional: request.Messages.Kind != JsonTokenType.None);
        }

        return endpoint.EndsWith("/completions"u8) ? Check("prompt", request.Prompt, "text or an array", isOptional: true) : null;
    }

    private static (string Code, string Message, string Param)? CheckOther(in RequestLine request) =>
        request.OtherName is { } name ? Check(name, request.Other, "an object") : null;

    private static (string Code, string Message, string Param)? Check(string name, BodyField field, string expected, bool isOptional = false)
    {
        string param = "body." + name;
        string place = param + field.Place;
        return field switch
        {
            { Kind: JsonTokenType.None or JsonTokenType.Null } => isOptional ? null
                : (IssueCodes.MissingParameter, $"Missing required parameter: '{param}'. It must be {expected}.", param),
            { Fault: BodyFault.None } => null,
            { Fault: BodyFault.Empty } when isOptional => null,
            { Fault: BodyFault.Empty } => (IssueCodes.InvalidRequest, $"Invalid value for '{param}': it must not be empty.", param),
            { Fault: BodyFault.NoRole } => (IssueCodes.MissingParameter, $"Missing required parameter: '{place}'. Each message must have a role, such as 'user'.", place),
            { Fault: BodyFault.Truncated } => (IssueCodes.TruncatedJson,
                $"'{place}' is the text '{TextCut.Start(field.Text, 60)}' where an object is expected: ConvertTo-Json wrote it so because the object was nested deeper than its -Depth. "
                + "Use ConvertTo-Json -Compress -Depth 20, or New-BatchRequest.", place),
            { Place.Length: > 0 } => (IssueCodes.InvalidRequest, $"Invalid value for '{place}': it must be an object.", place),
            _ => (IssueCodes.InvalidRequest, $"Invalid value for '{param}': it must be {expected}.", param),
        };
    }
}
