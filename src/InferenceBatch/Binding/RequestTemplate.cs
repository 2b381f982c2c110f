using System.Buffers;
using System.Text;
using System.Text.Json;

namespace InferenceBatch.Binding;

/// <summary>
/// Builds request bodies. The constructor writes the part that all requests of a command share. A body then consists of three copies: the
/// bytes before its input, the input, and the bytes after it.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class RequestTemplate
{
    private readonly ArrayBufferWriter<byte> _output = new(4096);
    private readonly EndpointShape _shape;
    private readonly RawJson[] _messages;
    private readonly byte[] _before;
    private readonly byte[] _after;
    private readonly bool _hasInstructions;
    private ReadOnlyMemory<byte>? _constant;

    /// <param name="shape">The shape for the endpoint.</param>
    /// <param name="model">The model; null if the body has it.</param>
    /// <param name="messages">The first messages of the conversation, after the system prompt.</param>
    /// <param name="fields">Additional fields and their JSON, in order.</param>
    /// <param name="body">Fields that override all others.</param>
    public RequestTemplate(
        EndpointShape shape, string? model, RawJson[] messages, IEnumerable<KeyValuePair<string, byte[]>> fields, RawJson? body)
    {
        _shape = shape;
        _messages = messages;
        var all = new List<KeyValuePair<string, byte[]>>();
        if (model is not null)
        {
            all.Add(new("model", ObjectJson.ToUtf8(model)));
        }

        all.AddRange(fields);
        Merge(all, body);
        HasModel = all.Exists(field => field.Key == "model");
        HasInput = all.Exists(field => field.Key == shape.InputField);
        _hasInstructions = all.Exists(field => field.Key == "instructions");
        _before = Written(all.Where(field => field.Key == "model"));
        _after = Written(all.Where(field => field.Key != "model"));
    }

    /// <summary>Whether the requests have a model.</summary>
    public bool HasModel { get; }

    /// <summary>Whether the body contains the input, so that no prompt is needed.</summary>
    public bool HasInput { get; }

    /// <summary>Returns the body of one request.</summary>
    /// <exception cref="UnwritableValueException">A text contains half a surrogate pair.</exception>
    public ReadOnlyMemory<byte> Write(string? prompt, string? systemPrompt, IReadOnlyList<RequestImage> images)
    {
        if (_constant is { } constant)
        {
            return constant;
        }

        _output.ResetWrittenCount();
        _output.Write("{"u8);
        _output.Write(_before);
        if (!HasInput)
        {
            Separate();
            WriteInput(prompt, systemPrompt, images);
        }

        if (_after.Length > 0)
        {
            Separate();
            _output.Write(_after);
        }

        _output.Write("}"u8);
        byte[] body = _output.WrittenSpan.ToArray();
        if (HasInput)
        {
            _constant = body;
        }

        return body;
    }

    private void WriteInput(string? prompt, string? systemPrompt, IReadOnlyList<RequestImage> images)
    {
        if (_shape.IsResponses && systemPrompt is not null && !_hasInstructions)
        {
            _output.Write("\"instructions\":"u8);
            WriteText("SystemPrompt", systemPrompt);
            _output.Write(","u8);
        }

        if (!_shape.TakesMessages || (_shape.IsResponses && _messages.Length == 0 && images.Count == 0))
        {
            _output.Write(_shape.InputField == "prompt" ? "\"prompt\":"u8 : "\"input\":"u8);
            WriteText("Prompt", prompt ?? "");
            return;
        }

        _output.Write(_shape.IsResponses ? "\"input\":["u8 : "\"messages\":["u8);
        if (systemPrompt is not null && !_shape.IsResponses)
        {
            _output.Write("{\"role\":\"system\",\"content\":"u8);
            WriteText("SystemPrompt", systemPrompt);
            _output.Write("}"u8);
        }

        foreach (RawJson message in _messages)
        {
            Separate();
            _output.Write(message.Utf8.Span);
        }

        if (prompt is not null || images.Count > 0)
        {
            Separate();
            WriteUserMessage(prompt, images);
        }

        _output.Write("]"u8);
    }

    private void WriteUserMessage(string? prompt, IReadOnlyList<RequestImage> images)
    {
        _output.Write("{\"role\":\"user\",\"content\":"u8);
        if (images.Count == 0)
        {
            WriteText("Prompt", prompt!);
            _output.Write("}"u8);
            return;
        }

        _output.Write("["u8);
        if (prompt is not null)
        {
            _output.Write(_shape.IsResponses ? "{\"type\":\"input_text\",\"text\":"u8 : "{\"type\":\"text\",\"text\":"u8);
            WriteText("Prompt", prompt);
            _output.Write("}"u8);
        }

        foreach (RequestImage image in images)
        {
            Separate();
            _output.Write(_shape.IsResponses ? "{\"type\":\"input_image\",\"image_url\":"u8 : "{\"type\":\"image_url\",\"image_url\":{\"url\":"u8);
            image.Write(_output);
            _output.Write(_shape.IsResponses ? "}"u8 : "}}"u8);
        }

        _output.Write("]}"u8);
    }

    private void WriteText(string name, string text)
    {
        try
        {
            JsonText.Write(_output, text);
        }
        catch (UnwritableValueException exception)
        {
            exception.Within(name);
            throw;
        }
    }

    /// <summary>Writes a comma, except at the start of an object or array.</summary>
    private void Separate()
    {
        if (_output.WrittenSpan[^1] is not ((byte)'{' or (byte)'['))
        {
            _output.Write(","u8);
        }
    }

    private static void Merge(List<KeyValuePair<string, byte[]>> fields, RawJson? body)
    {
        if (body is null)
        {
            return;
        }

        using var document = JsonDocument.Parse(body.Utf8, new JsonDocumentOptions { MaxDepth = ObjectJson.MaxDepth + 1 });
        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            var field = new KeyValuePair<string, byte[]>(property.Name, Encoding.UTF8.GetBytes(property.Value.GetRawText()));
            int same = fields.FindIndex(other => other.Key == property.Name);
            if (same >= 0)
            {
                fields[same] = field;
            }
            else
            {
                fields.Add(field);
            }
        }
    }

    private static byte[] Written(IEnumerable<KeyValuePair<string, byte[]>> fields)
    {
        var output = new ArrayBufferWriter<byte>();
        foreach ((string name, byte[] value) in fields)
        {
            if (output.WrittenCount > 0)
            {
                output.Write(","u8);
            }

            JsonText.Write(output, name);
            output.Write(":"u8);
            output.Write(value);
        }

        return output.WrittenSpan.ToArray();
    }
}
