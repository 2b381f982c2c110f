using System.Text;
using System.Text.Json;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Writes the responses of the echo model in the format that OpenAI documents.</summary>
/// <param name="id">The unique part of the response's ID.</param>
/// <param name="model">The requested model.</param>
/// <param name="created">The time of the response, in Unix seconds.</param>
internal sealed class EchoWriter(string id, string model, long created)
{
    private const int Dimensions = 8;

    public void Write(Utf8JsonWriter json, string endpoint, string prompt)
    {
        json.WriteStartObject();
        switch (endpoint.StartsWith("/v1/", StringComparison.Ordinal) ? endpoint["/v1".Length..] : endpoint)
        {
            case "/completions":
                WriteCompletion(json, prompt);
                break;
            case "/embeddings":
                WriteEmbedding(json, prompt);
                break;
            case "/responses":
                WriteResponse(json, prompt);
                break;
            case "/moderations":
                WriteModeration(json);
                break;
            default:
                WriteChat(json, prompt);
                break;
        }

        json.WriteEndObject();
    }

    private void WriteChat(Utf8JsonWriter json, string prompt)
    {
        WriteHead(json, "chatcmpl-echo-", "chat.completion", "created");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", prompt);
        json.WriteEndObject();
        json.WriteString("finish_reason", "stop");
        json.WriteEndObject();
        json.WriteEndArray();
        WriteUsage(json, "prompt_tokens", "completion_tokens", prompt);
    }

    private void WriteCompletion(Utf8JsonWriter json, string prompt)
    {
        WriteHead(json, "cmpl-echo-", "text_completion", "created");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteString("text", prompt);
        json.WriteNull("logprobs");
        json.WriteString("finish_reason", "stop");
        json.WriteEndObject();
        json.WriteEndArray();
        WriteUsage(json, "prompt_tokens", "completion_tokens", prompt);
    }

    private void WriteEmbedding(Utf8JsonWriter json, string prompt)
    {
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        json.WriteStartObject();
        json.WriteString("object", "embedding");
        json.WriteNumber("index", 0);
        json.WriteStartArray("embedding");
        foreach (double number in Vector(prompt))
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteString("model", model);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", Tokens(prompt));
        json.WriteNumber("total_tokens", Tokens(prompt));
        json.WriteEndObject();
    }

    private void WriteResponse(Utf8JsonWriter json, string prompt)
    {
        WriteHead(json, "resp_echo_", "response", "created_at");
        json.WriteString("status", "completed");
        json.WriteStartArray("output");
        json.WriteStartObject();
        json.WriteString("type", "message");
        json.WriteString("id", "msg_echo_" + id);
        json.WriteString("status", "completed");
        json.WriteString("role", "assistant");
        json.WriteStartArray("content");
        json.WriteStartObject();
        json.WriteString("type", "output_text");
        json.WriteString("text", prompt);
        json.WriteStartArray("annotations");
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        WriteUsage(json, "input_tokens", "output_tokens", prompt);
    }

    private void WriteModeration(Utf8JsonWriter json)
    {
        json.WriteString("id", "modr-echo-" + id);
        json.WriteString("model", model);
        json.WriteStartArray("results");
        json.WriteStartObject();
        json.WriteBoolean("flagged", false);
        json.WriteStartObject("categories");
        json.WriteBoolean("harassment", false);
        json.WriteBoolean("violence", false);
        json.WriteEndObject();
        json.WriteStartObject("category_scores");
        json.WriteNumber("harassment", 0);
        json.WriteNumber("violence", 0);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private void WriteHead(Utf8JsonWriter json, string prefix, string kind, string timeName)
    {
        json.WriteString("id", prefix + id);
        json.WriteString("object", kind);
        json.WriteNumber(timeName, created);
        json.WriteString("model", model);
    }

    private static void WriteUsage(Utf8JsonWriter json, string inputName, string outputName, string prompt)
    {
        int tokens = Tokens(prompt);
        json.WriteStartObject("usage");
        json.WriteNumber(inputName, tokens);
        json.WriteNumber(outputName, tokens);
        json.WriteNumber("total_tokens", tokens * 2);
        json.WriteEndObject();
    }

    /// <summary>A token is about four bytes of text, in most tokenizers and languages.</summary>
    private static int Tokens(string text) => (Encoding.UTF8.GetByteCount(text) + 3) / 4;

    /// <summary>Returns a vector of length 1 that depends only on the text: how often each byte value modulo 8 occurs, plus 1 on the first axis.</summary>
    private static double[] Vector(string text)
    {
        double[] vector = new double[Dimensions];
        vector[0] = 1;
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            vector[b % Dimensions]++;
        }

        double length = Math.Sqrt(vector.Sum(x => x * x));
        return [.. vector.Select(x => Math.Round(x / length, 6))];
    }
}
