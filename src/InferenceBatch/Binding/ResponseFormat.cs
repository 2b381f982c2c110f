using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;

namespace InferenceBatch.Binding;

/// <summary>
/// Writes a JSON schema and tools as the two conversation endpoints expect them: <c>response_format</c> and nested functions for chat,
/// <c>text.format</c> and flat functions for responses. Source: OpenAI's API reference.
/// </summary>
internal static class ResponseFormat
{
    private const string DefaultName = "response";

    /// <summary>
    /// Returns the value of <c>response_format</c>, or of <c>text</c>. A plain schema gets a name. It is marked strict if it meets the
    /// requirements of strict mode; if it does not, a service would refuse every line. A schema with its own wrapper (<c>name</c>,
    /// <c>schema</c>, <c>strict</c>) is written unchanged.
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

    /// <summary>Returns the value of <c>tools</c>. A plain function (<c>name</c>, <c>parameters</c>) gets the wrapper that the endpoint expects.</summary>
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

    /// <summary>Whether a schema meets the requirements of strict mode: every object closed, all its properties required.</summary>
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
