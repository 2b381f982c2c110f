using System.Collections.Specialized;
using System.Management.Automation;
using System.Text.Json;

namespace InferenceBatch.Binding;

/// <summary>
/// Turns JSON into what PowerShell likes to work with: PSCustomObject, object[], string, long, decimal, double, bool.
/// Text stays text, also where it looks like a date.
/// </summary>
internal static class JsonValue
{
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 256 };

    /// <summary>Reads text; null where it is not a JSON object or array.</summary>
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
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null; // Not JSON, or JSON that holds half a surrogate pair; see BatchResult.ValueError.
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
            if (property.Name.Length == 0 || !names.Add(property.Name))
            {
                return ReadDictionary(element);
            }

            result.Properties.Add(new PSNoteProperty(property.Name, ToPSObject(property.Value)));
        }

        return result;
    }

    /// <summary>For names that properties cannot have: empty, or told apart by case alone.</summary>
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

        bool isWhole = element.GetRawText().AsSpan().IndexOfAny(".eE") < 0;
        return isWhole && element.TryGetDecimal(out decimal large) ? large : element.GetDouble();
    }
}
