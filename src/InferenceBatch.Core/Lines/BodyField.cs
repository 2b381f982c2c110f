using System.Text;
using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>What is wrong with a field of a request's body.</summary>
public enum BodyFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It must be an array, and is another kind of value.</summary>
    NotAnArray,

    /// <summary>It must be text or an array, and is another kind of value.</summary>
    NotTextOrArray,

    /// <summary>It must be an object, and is another kind of value.</summary>
    NotAnObject,

    /// <summary>It must not be empty.</summary>
    Empty,

    /// <summary>It has no role.</summary>
    NoRole,

    /// <summary>It is the text that ConvertTo-Json writes instead of an object below its -Depth.</summary>
    Truncated,
}

/// <summary>
/// One field of a request's body as it was read: its kind, and the first thing wrong with it. Read in the one pass of
/// <see cref="RequestLine"/>; allocates nothing while the field is right.
/// </summary>
public readonly struct BodyField
{
    private BodyField(JsonTokenType kind, BodyFault fault, string place = "", string text = "")
    {
        Kind = kind;
        Fault = fault;
        Place = place;
        Text = text;
    }

    /// <summary>The kind of the value; <see cref="JsonTokenType.None"/> if the body does not have the field.</summary>
    public JsonTokenType Kind { get; }

    /// <summary>The first fault.</summary>
    public BodyFault Fault { get; }

    /// <summary>Where in the field the fault is: <c>[2].role</c>; empty for the field itself.</summary>
    public string Place { get; }

    /// <summary>The text found instead of an object, if <see cref="Fault"/> is <see cref="BodyFault.Truncated"/>.</summary>
    public string Text { get; }

    /// <summary>Reads <c>messages</c> of a chat: an array of objects with a role.</summary>
    internal static BodyField ReadMessages(ref Utf8JsonReader reader) => ReadEntries(ref reader, mayBeText: false, mayHoldText: false, needsRole: true);

    /// <summary>Reads <c>input</c> of /v1/responses: text, or an array of objects with a role or a type.</summary>
    internal static BodyField ReadInput(ref Utf8JsonReader reader) => ReadEntries(ref reader, mayBeText: true, mayHoldText: true, needsRole: false);

    /// <summary>
    /// Reads a field with JSON schemas (<c>tools</c>, <c>response_format</c>, <c>text</c>): what ConvertTo-Json truncated is a fault at places
    /// where only an object is valid. Elsewhere, such as in an enum, such a text may be meant.
    /// </summary>
    internal static BodyField ReadSchemas(ref Utf8JsonReader reader)
    {
        JsonTokenType kind = reader.TokenType;
        BodyField? fault = kind == JsonTokenType.String && IsTruncated(in reader) ? Truncated(in reader, kind, "") : null;
        if (kind is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return fault ?? new BodyField(kind, BodyFault.None);
        }

        int depth = reader.CurrentDepth;
        ulong inProperties = 0; // One bit for each depth: whether that object is the value of "properties".
        bool isProperties = false;
        bool mustBeObject = kind == JsonTokenType.StartArray;
        while (reader.Read() && reader.CurrentDepth > depth)
        {
            int inner = reader.CurrentDepth - depth;
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    isProperties = reader.ValueTextEquals("properties"u8);
                    mustBeObject = isProperties || (inner < 64 && (inProperties & (1UL << inner)) != 0) || reader.ValueTextEquals("function"u8)
                        || reader.ValueTextEquals("parameters"u8) || reader.ValueTextEquals("json_schema"u8) || reader.ValueTextEquals("schema"u8)
                        || (inner == 1 && reader.ValueTextEquals("format"u8));
                    continue;
                case JsonTokenType.StartObject when isProperties && inner < 63:
                    inProperties |= 1UL << (inner + 1);
                    break;
                case JsonTokenType.EndObject when inner < 63:
                    inProperties &= ~(1UL << (inner + 1));
                    break;
                case JsonTokenType.String when mustBeObject && fault is null && IsTruncated(in reader):
                    fault = Truncated(in reader, kind, "");
                    break;
            }

            isProperties = false;
            // The next value without a name is an item: only the items of the field itself must be objects.
            mustBeObject = kind == JsonTokenType.StartArray && reader.CurrentDepth == depth + 1;
        }

        return fault ?? new BodyField(kind, BodyFault.None);
    }

    /// <summary>Reads a field that may be text or a list of texts or numbers: only its kind.</summary>
    internal static BodyField ReadKind(ref Utf8JsonReader reader)
    {
        var field = new BodyField(reader.TokenType, BodyFault.None);
        reader.Skip();
        return field;
    }

    private static BodyField ReadEntries(ref Utf8JsonReader reader, bool mayBeText, bool mayHoldText, bool needsRole)
    {
        JsonTokenType kind = reader.TokenType;
        if (kind != JsonTokenType.StartArray)
        {
            bool isText = kind == JsonTokenType.String;
            BodyField field = kind is JsonTokenType.Null || (isText && mayBeText) ? new(kind, BodyFault.None)
                : isText && IsTruncated(in reader) ? Truncated(in reader, kind, "")
                : new(kind, mayBeText ? BodyFault.NotTextOrArray : BodyFault.NotAnArray);
            reader.Skip();
            return field;
        }

        BodyField? fault = null;
        int index = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                BodyField? inside = ReadMessage(ref reader, index, needsRole);
                fault ??= inside;
            }
            else if (reader.TokenType == JsonTokenType.String && IsTruncated(in reader))
            {
                fault ??= Truncated(in reader, kind, $"[{index}]");
            }
            else
            {
                fault ??= mayHoldText ? null : new BodyField(kind, BodyFault.NotAnObject, $"[{index}]");
                reader.Skip();
            }

            index++;
        }

        return fault ?? new BodyField(kind, index == 0 ? BodyFault.Empty : BodyFault.None);
    }

    private static BodyField? ReadMessage(ref Utf8JsonReader reader, int index, bool needsRole)
    {
        BodyField? fault = null;
        bool hasRole = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool isRole = reader.ValueTextEquals("role"u8);
            bool isContent = reader.ValueTextEquals("content"u8);
            bool isCalls = reader.ValueTextEquals("tool_calls"u8);
            reader.Read();
            if (isRole)
            {
                hasRole = reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length > 0;
            }
            else if ((isContent || isCalls) && reader.TokenType == JsonTokenType.StartArray)
            {
                BodyField? inside = ReadParts(ref reader, index, isContent ? "content" : "tool_calls");
                fault ??= inside;
            }
            else if (isContent && reader.TokenType == JsonTokenType.String && IsTruncatedList(reader.ValueSpan))
            {
                fault ??= Truncated(in reader, JsonTokenType.StartArray, $"[{index}].content");
            }
            reader.Skip();
        }

        return needsRole && !hasRole ? new BodyField(JsonTokenType.StartArray, BodyFault.NoRole, $"[{index}].role") : fault;
    }

    private static BodyField? ReadParts(ref Utf8JsonReader reader, int message, string name)
    {
        BodyField? fault = null;
        int index = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            // Some services accept plain texts as parts of a message.
            if (fault is null && reader.TokenType == JsonTokenType.String && IsTruncated(in reader))
            {
                fault = Truncated(in reader, JsonTokenType.StartArray, $"[{message}].{name}[{index}]");
            }

            reader.Skip();
            index++;
        }

        return fault;
    }

    /// <summary>Whether the text is what ConvertTo-Json writes of an object below its -Depth: the name of a .NET type, or <c>@{name=value}</c>.</summary>
    private static bool IsTruncated(in Utf8JsonReader reader)
    {
        ReadOnlySpan<byte> text = reader.ValueSpan;
        return text.Length > 2 && text[0] switch
        {
            (byte)'@' => text[1] == (byte)'{' && text[^1] == (byte)'}' && text.Contains((byte)'='),
            (byte)'S' => text.StartsWith("System."u8) && !text.Contains((byte)' '),
            _ => false,
        };
    }

    /// <summary>Whether a text consists of nothing but the names that an array of hashtables becomes below the -Depth: joined by spaces.</summary>
    private static bool IsTruncatedList(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> name = "System.Collections.Hashtable"u8;
        while (text.StartsWith(name))
        {
            text = text[name.Length..];
            if (text.IsEmpty)
            {
                return true;
            }

            text = text[1..]; // The space between two names.
        }

        return false;
    }

    private static BodyField Truncated(in Utf8JsonReader reader, JsonTokenType kind, string place) =>
        new(kind, BodyFault.Truncated, place, Encoding.UTF8.GetString(reader.ValueSpan));
}
