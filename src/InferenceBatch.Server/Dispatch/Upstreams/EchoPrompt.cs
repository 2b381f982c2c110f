using System.Text;
using System.Text.Json;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Reads the text of a request: the last user message, the prompt or the input.</summary>
internal static class EchoPrompt
{
    public static string Read(string endpoint, JsonElement body)
    {
        string name = endpoint.EndsWith("/chat/completions", StringComparison.Ordinal) ? "messages"
            : endpoint.EndsWith("/completions", StringComparison.Ordinal) ? "prompt"
            : "input";
        if (!body.TryGetProperty(name, out JsonElement value))
        {
            return "";
        }

        return value.ValueKind == JsonValueKind.Array && LastUserMessage(value) is { } message ? Text(message) : Text(value);
    }

    private static JsonElement? LastUserMessage(JsonElement messages)
    {
        JsonElement? last = null;
        foreach (JsonElement message in messages.EnumerateArray())
        {
            if (message.ValueKind == JsonValueKind.Object
                && message.TryGetProperty("role", out JsonElement role) && role.ValueKind == JsonValueKind.String && role.ValueEquals("user")
                && message.TryGetProperty("content", out JsonElement content))
            {
                last = content;
            }
        }

        return last;
    }

    /// <summary>Returns a string unchanged, and the texts of an array of strings or content parts, one per line.</summary>
    private static string Text(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                return value.GetString()!;
            case JsonValueKind.Object when value.TryGetProperty("text", out JsonElement text) && text.ValueKind == JsonValueKind.String:
                return text.GetString()!;
            case JsonValueKind.Array:
                var all = new StringBuilder();
                foreach (JsonElement part in value.EnumerateArray())
                {
                    string text = Text(part);
                    all.Append(all.Length > 0 && text.Length > 0 ? "\n" : "").Append(text);
                }

                return all.ToString();
            default:
                return "";
        }
    }
}
