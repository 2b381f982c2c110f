using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace InferenceBatch.Wire;

/// <summary>
/// Text that System.Text.Json refuses to read: a model's answer cut off within an emoji ends in half a surrogate pair,
/// and some services send it on, or cut between the bytes of a character. What cannot be read becomes U+FFFD; the rest
/// is worth having.
/// </summary>
internal static class BrokenText
{
    /// <summary>Parses an answer; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <exception cref="JsonException">Not JSON.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json) => JsonDocument.Parse(Utf8.IsValid(json.Span) ? json : Repaired(json.Span));

    /// <summary>The bytes with U+FFFD for what is not UTF-8.</summary>
    public static byte[] Repaired(ReadOnlySpan<byte> json) => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(json));

    /// <summary>The text of a JSON string.</summary>
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

    /// <summary>The text of the JSON string a reader stands on.</summary>
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

    /// <summary>The text of a JSON string, quotes included.</summary>
    public static string ReadString(ReadOnlyMemory<byte> token)
    {
        var reader = new Utf8JsonReader(token.Span);
        reader.Read();
        return ReadString(ref reader);
    }

    /// <summary>The name of a property.</summary>
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

    /// <param name="raw">The inside of a JSON string, known to be valid but for halves of pairs.</param>
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
                char itself => itself,
            });
            i += raw[i] == 'u' ? 4 : 0;
        }

        // The way through UTF-8 puts U+FFFD for halves.
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.ToString()));
    }
}
