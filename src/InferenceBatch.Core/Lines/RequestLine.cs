using System.Text.Json;
using System.Text.Unicode;

namespace InferenceBatch.Lines;

/// <summary>
/// A parsed line of a batch file, as positions within the bytes of the line: nothing is copied. Created by <see cref="Parse"/>.
/// If an object has a name twice, the last one applies, as in System.Text.Json.
/// </summary>
public ref struct RequestLine
{
    /// <summary>Deeper nesting is rejected as invalid JSON.</summary>
    public const int MaxDepth = 256;

    private ReadOnlySpan<byte> _line;

    /// <summary>The position of <c>custom_id</c> as a JSON string, including the quotes; empty if it is missing or not a string.</summary>
    public Range IdToken { get; private set; }

    /// <summary>The position of <c>body</c> as a JSON object; empty if it is missing or not an object.</summary>
    public Range BodyToken { get; private set; }

    public JsonTokenType IdKind { get; private set; }

    public JsonTokenType MethodKind { get; private set; }

    public JsonTokenType UrlKind { get; private set; }

    public JsonTokenType BodyKind { get; private set; }

    public JsonTokenType ModelKind { get; private set; }

    /// <summary>Whether <c>method</c> is POST.</summary>
    public bool IsPost { get; private set; }

    /// <summary>The <c>url</c>, unescaped UTF-8.</summary>
    public ReadOnlySpan<byte> Url { get; private set; }

    /// <summary>The body's <c>model</c>, unescaped UTF-8.</summary>
    public ReadOnlySpan<byte> Model { get; private set; }

    /// <summary>The <c>custom_id</c>, unescaped UTF-8.</summary>
    public ReadOnlySpan<byte> CustomId { get; private set; }

    /// <summary>Whether the body asks for a stream.</summary>
    public bool IsStreaming { get; private set; }

    /// <summary>The body's <c>messages</c>.</summary>
    internal BodyField Messages { get; private set; }

    /// <summary>The body's <c>input</c>.</summary>
    internal BodyField Input { get; private set; }

    /// <summary>The body's <c>prompt</c>.</summary>
    internal BodyField Prompt { get; private set; }

    /// <summary>The last of the other fields that ConvertTo-Json truncated.</summary>
    internal BodyField Other { get; private set; }

    /// <summary>The name of <see cref="Other"/>.</summary>
    internal string? OtherName { get; private set; }

    /// <summary>Whether the body names a conversation at the service, which stands for its input (/v1/responses).</summary>
    internal bool HasContext { get; private set; }

    /// <summary>The body's bytes.</summary>
    public readonly ReadOnlySpan<byte> Body => _line[BodyToken];

    /// <summary>Parses a line. Returns false if it is not a JSON object; then <paramref name="problem"/> is the reason.</summary>
    public static bool Parse(ReadOnlySpan<byte> line, out RequestLine result, out LineProblem problem)
    {
        result = default;
        result._line = line;
        if (!Utf8.IsValid(line))
        {
            problem = LineProblem.InvalidUtf8;
            return false;
        }

        try
        {
            problem = result.ReadLine();
        }
        catch (JsonException)
        {
            problem = LineProblem.InvalidJson;
        }
        catch (InvalidOperationException)
        {
            problem = IsJson(line) ? LineProblem.LoneSurrogate : LineProblem.InvalidJson; // The lone surrogate is in a name.
        }

        if (problem == LineProblem.None && HasLoneSurrogate(line))
        {
            problem = LineProblem.LoneSurrogate;
        }

        return problem == LineProblem.None;
    }

    /// <summary>Returns the <c>model</c> of a request's body, unescaped UTF-8; empty if it is missing or the body is not valid.</summary>
    public static ReadOnlySpan<byte> ModelOf(ReadOnlySpan<byte> body) => ParseBody(body, out RequestLine line) ? line.Model : default;

    /// <summary>Reads the body of a request without its line.</summary>
    /// <returns>Whether it is a JSON object.</returns>
    internal static bool ParseBody(ReadOnlySpan<byte> body, out RequestLine result)
    {
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
            reader.Read();
            var line = new RequestLine { _line = body };
            line.ReadBody(ref reader);
            result = line;
            return line.BodyKind == JsonTokenType.StartObject;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            result = default;
            return false;
        }
    }

    private LineProblem ReadLine()
    {
        var reader = new Utf8JsonReader(_line, new JsonReaderOptions { MaxDepth = MaxDepth });
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            // The line is read to its end, to distinguish invalid JSON from JSON that is not an object.
            return IsJson(_line) ? LineProblem.NotAnObject : LineProblem.InvalidJson;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("custom_id"u8))
            {
                reader.Read();
                IdKind = reader.TokenType;
                CustomId = IdKind == JsonTokenType.String ? Unescaped(ref reader) : default;
                IdToken = IdKind == JsonTokenType.String ? (int)reader.TokenStartIndex..(int)reader.BytesConsumed : default;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("method"u8))
            {
                reader.Read();
                MethodKind = reader.TokenType;
                IsPost = MethodKind == JsonTokenType.String && reader.ValueTextEquals("POST"u8);
                reader.Skip();
            }
            else if (reader.ValueTextEquals("url"u8))
            {
                reader.Read();
                UrlKind = reader.TokenType;
                Url = UrlKind == JsonTokenType.String ? Unescaped(ref reader) : default;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("body"u8))
            {
                reader.Read();
                ReadBody(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        reader.Read(); // Throws if anything follows the object.
        return LineProblem.None;
    }

    private void ReadBody(ref Utf8JsonReader reader)
    {
        BodyKind = reader.TokenType;
        int start = (int)reader.TokenStartIndex;
        BodyToken = default;
        ModelKind = JsonTokenType.None;
        Model = default;
        IsStreaming = false;
        (Messages, Input, Prompt, Other, OtherName, HasContext) = (default, default, default, default, null, false);
        if (BodyKind != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("model"u8))
            {
                reader.Read();
                ModelKind = reader.TokenType;
                Model = ModelKind == JsonTokenType.String ? Unescaped(ref reader) : default;
            }
            else if (reader.ValueTextEquals("stream"u8))
            {
                reader.Read();
                IsStreaming = reader.TokenType == JsonTokenType.True;
            }
            else if (reader.ValueTextEquals("messages"u8))
            {
                reader.Read();
                Messages = BodyField.ReadMessages(ref reader);
            }
            else if (reader.ValueTextEquals("input"u8))
            {
                reader.Read();
                Input = BodyField.ReadInput(ref reader);
            }
            else if (reader.ValueTextEquals("prompt"u8))
            {
                reader.Read();
                Prompt = BodyField.ReadKind(ref reader);
            }
            else if (reader.ValueTextEquals("tools"u8) || reader.ValueTextEquals("response_format"u8) || reader.ValueTextEquals("text"u8))
            {
                string name = reader.GetString()!;
                reader.Read();
                BodyField field = BodyField.ReadSchemas(ref reader);
                if (field.Fault != BodyFault.None)
                {
                    (Other, OtherName) = (field, name);
                }
            }
            else
            {
                HasContext |= reader.ValueTextEquals("previous_response_id"u8) || reader.ValueTextEquals("conversation"u8);
                reader.Read();
            }

            reader.Skip();
        }

        BodyToken = start..(int)reader.BytesConsumed;
    }

    private static bool IsJson(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static ReadOnlySpan<byte> Unescaped(scoped ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan;
        }

        byte[] copy = new byte[reader.ValueSpan.Length];
        try
        {
            return copy.AsSpan(0, reader.CopyString(copy));
        }
        catch (InvalidOperationException)
        {
            return default; // A lone surrogate: the line is rejected after parsing.
        }
    }

    /// <summary>Whether a line, which must be valid JSON, has a <c>\uD800</c> to <c>\uDFFF</c> escape that is not part of a pair.</summary>
    private static bool HasLoneSurrogate(ReadOnlySpan<byte> line)
    {
        int from = 0;
        while (true)
        {
            int found = line[from..].IndexOf("\\u"u8);
            if (found < 0)
            {
                return false;
            }

            int slash = from + found;
            from = slash + 2;
            if ((line[from] | 0x20) != 'd' || IsEscaped(line, slash))
            {
                continue;
            }

            char unit = Unit(line[from..]);
            from += 4;
            if (char.IsLowSurrogate(unit))
            {
                return true;
            }

            if (char.IsHighSurrogate(unit))
            {
                ReadOnlySpan<byte> next = line[from..];
                if (!next.StartsWith("\\u"u8) || !char.IsLowSurrogate(Unit(next[2..])))
                {
                    return true;
                }

                from += 6;
            }
        }
    }

    /// <summary>Whether a backslash is itself escaped: an odd number of backslashes precedes it.</summary>
    private static bool IsEscaped(ReadOnlySpan<byte> line, int slash) =>
        ((slash - 1 - line[..slash].LastIndexOfAnyExcept((byte)'\\')) & 1) == 1;

    private static char Unit(ReadOnlySpan<byte> hex) =>
        System.Buffers.Text.Utf8Parser.TryParse(hex[..4], out ushort unit, out int used, 'X') && used == 4 ? (char)unit : '\0';
}
