using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace InferenceBatch.Wire;

/// <summary>
/// Reads text that System.Text.Json refuses to read: if a model's answer is cut off within an emoji, it ends with half a
/// surrogate pair, and some services forward it, or cut between the bytes of a character. The invalid part becomes U+FFFD,
/// and the rest is kept.
/// </summary>
internal static class BrokenText
{
    /// <summary>Parses a response. Invalid UTF-8 becomes U+FFFD.</summary>
    /// <exception cref="JsonException">Not JSON.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json) => JsonDocument.Parse(Utf8.IsValid(json.Span) ? json : Repaired(json.Span));

    /// <summary>Returns the bytes with U+FFFD in place of invalid UTF-8.</summary>
    public static byte[] Repaired(ReadOnlySpan<byte> json) => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(json));

    /// <summary>Returns the text of a JSON string.</summary>
    public static string ReadString(JsonElement element)
    {
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Unescape(element.GetRawText()[1..^1]);
        }
    }

    /// <summary>Returns the text of the JSON string at which a reader is.</summary>
    public static string ReadString(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Unescape(Encoding.UTF8.GetString(reader.ValueSpan));
        }
    }

    /// <summary>Returns the text of a JSON string.</summary>
    /// <param name="token">The JSON string, including the quotes.</param>
    public static string ReadString(ReadOnlyMemory<byte> token)
    {
        var reader = new Utf8JsonReader(token.Span);
        reader.Read();
        return ReadString(ref reader);
    }

    /// <summary>Returns the name of a property; U+FFFD if it cannot be read.</summary>
    public static string ReadName(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return "\ufffd";
        }
    }

    /// <param name="raw">The content of a JSON string, which is valid except for halves of surrogate pairs.</param>
    private static string Unescape(string raw)
    {
        var text = new StringBuilder(raw.Length);
        for (int i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '\\')
            {
                text.Append(raw[i]);
                continue;
            }

            i++;
            text.Append(raw[i] switch
            {
                'b' => '\b',
                'f' => '\f',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => (char)ushort.Parse(raw.AsSpan(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                char other => other,
            });
            i += raw[i] == 'u' ? 4 : 0;
        }

        // The conversion to UTF-8 replaces halves of pairs with U+FFFD.
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.ToString()));
    }
}
