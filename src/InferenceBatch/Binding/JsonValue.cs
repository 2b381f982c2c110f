using System.Collections.Specialized;
using System.Globalization;
using System.Management.Automation;
using System.Numerics;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Converts JSON to PowerShell's types: PSCustomObject, object[], string, long, BigInteger, double, bool. A string that looks like a date
/// stays a string.
/// </summary>
internal static class JsonValue
{
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 256 };

    /// <summary>The names of PowerShell's own members, which every object has in addition to its properties.</summary>
    private static readonly HashSet<string> s_reserved = new(StringComparer.OrdinalIgnoreCase) { "psbase", "psadapted", "psextended", "psobject", "pstypenames" };

    /// <summary>Returns the value of the text; null if the text is not a JSON object or array.</summary>
    public static object? ObjectOrArray(string text)
    {
        ReadOnlySpan<char> start = text.AsSpan().TrimStart();
        if (start.IsEmpty || start[0] is not ('{' or '['))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(text, s_options);
            return ToPSObject(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or OverflowException)
        {
            return null; // Not JSON, or JSON with half a surrogate pair or a number that is out of range; see BatchResult.ValueError.
        }
    }

    public static object? ToPSObject(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => ReadObject(element),
        JsonValueKind.Array => element.EnumerateArray().Select(ToPSObject).ToArray(),
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => ReadNumber(element),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private static object ReadObject(JsonElement element)
    {
        var result = new PSObject();
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (property.Name.Length == 0 || s_reserved.Contains(property.Name) || !names.Add(property.Name))
            {
                return ReadDictionary(element);
            }

            result.Properties.Add(new PSNoteProperty(property.Name, ToPSObject(property.Value)));
        }

        return result;
    }

    /// <summary>For names that properties cannot have: empty names, names of PowerShell's own members, and names that differ only in case.</summary>
    private static OrderedDictionary ReadDictionary(JsonElement element)
    {
        var result = new OrderedDictionary(StringComparer.Ordinal);
        foreach (JsonProperty property in element.EnumerateObject())
        {
            result[property.Name] = ToPSObject(property.Value);
        }

        return result;
    }

    private static object ReadNumber(JsonElement element)
    {
        if (element.TryGetInt64(out long whole))
        {
            return whole;
        }

        string text = element.GetRawText();
        return JsonNumber.IsOutOfRange(text) ? throw new OverflowException()
            : JsonNumber.IsInteger(text) ? BigInteger.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)
            : element.GetDouble();
    }
}
