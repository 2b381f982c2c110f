using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;

namespace InferenceBatch.Binding;

/// <summary>
/// Writes a JSON schema, and tools, in the shapes the two conversation endpoints want: <c>response_format</c> and
/// nested functions for chat, <c>text.format</c> and flat functions for responses. OpenAI's API reference.
/// </summary>
internal static class ResponseFormat
{
    private const string DefaultName = "response";

    /// <summary>
    /// The value of <c>response_format</c>, or of <c>text</c>. A bare schema gets a name, and is strict exactly where it is written
    /// as strict mode wants it, for a service refuses every line of one that is not; a schema that comes in its own
    /// wrapping (<c>name</c>, <c>schema</c>, <c>strict</c>) is taken as it is.
    /// </summary>
    public static byte[] FromSchema(RawJson schema, EndpointShape shape)
    {
        using var document = JsonDocument.Parse(schema.Utf8);
        JsonElement root = document.RootElement;
        bool isWrapped = root.TryGetProperty("schema", out _) && root.TryGetProperty("name", out _);
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, LineJson.WriterOptions);
        json.WriteStartObject();
        if (shape.IsResponses)
        {
            json.WriteStartObject("format");
        }

        json.WriteString("type", "json_schema");
        if (!shape.IsResponses)
        {
            json.WriteStartObject("json_schema");
        }

        if (!isWrapped)
        {
            json.WriteString("name", DefaultName);
            if (IsStrict(root))
            {
                json.WriteBoolean("strict", true);
            }

            json.WritePropertyName("schema");
            root.WriteTo(json);
        }
        else
        {
            WriteFields(json, root);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }

    /// <summary>The value of <c>tools</c>; a bare function (<c>name</c>, <c>parameters</c>) is wrapped as the endpoint wants it.</summary>
    public static byte[] FromTools(IReadOnlyList<RawJson> tools, EndpointShape shape)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, LineJson.WriterOptions);
        json.WriteStartArray();
        foreach (RawJson tool in tools)
        {
            using var document = JsonDocument.Parse(tool.Utf8);
            JsonElement root = document.RootElement;
            bool isBare = !root.TryGetProperty("type", out _) && root.TryGetProperty("name", out _);
            if (!isBare)
            {
                root.WriteTo(json);
                continue;
            }

            json.WriteStartObject();
            json.WriteString("type", "function");
            if (shape.IsResponses)
            {
                WriteFields(json, root);
            }
            else
            {
                json.WritePropertyName("function");
                root.WriteTo(json);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }

    private static void WriteFields(Utf8JsonWriter json, JsonElement element)
    {
        foreach (JsonProperty property in element.EnumerateObject())
        {
            property.WriteTo(json);
        }
    }

    /// <summary>Strict mode wants every object closed, with each of its properties required.</summary>
    private static bool IsStrict(JsonElement schema) => schema.ValueKind switch
    {
        JsonValueKind.Array => schema.EnumerateArray().All(IsStrict),
        JsonValueKind.Object => IsClosed(schema) && schema.EnumerateObject().All(keyword => keyword.Name switch
        {
            "properties" or "$defs" or "definitions" => keyword.Value.ValueKind == JsonValueKind.Object
                && keyword.Value.EnumerateObject().All(named => IsStrict(named.Value)),
            "enum" or "const" or "default" or "examples" => true,
            _ => IsStrict(keyword.Value),
        }),
        _ => true,
    };

    private static bool IsClosed(JsonElement schema)
    {
        bool isObject = schema.TryGetProperty("properties", out JsonElement properties)
            || (schema.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("object"u8));
        if (!isObject)
        {
            return true;
        }

        HashSet<string?> required = schema.TryGetProperty("required", out JsonElement names) && names.ValueKind == JsonValueKind.Array
            ? [.. names.EnumerateArray().Select(name => name.ValueKind == JsonValueKind.String ? name.GetString() : null)] : [];
        return schema.TryGetProperty("additionalProperties", out JsonElement more) && more.ValueKind == JsonValueKind.False
            && properties.ValueKind == JsonValueKind.Object && properties.EnumerateObject().All(property => required.Contains(property.Name));
    }
}
