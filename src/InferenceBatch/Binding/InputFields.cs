using System.Collections;
using System.Management.Automation;
using InferenceBatch.Wire;

namespace InferenceBatch.Binding;

/// <summary>The named values of an input object: the properties of an object, or the keys of a dictionary.</summary>
internal static class InputFields
{
    public static IEnumerable<string> NamesOf(object? input) => input switch
    {
        null => [],
        IDictionary row => row.Keys.OfType<string>(),
        _ => PSObject.AsPSObject(input).Properties.Select(property => property.Name),
    };

    /// <summary>Returns the first names on one line; empty if there are none.</summary>
    public static string Listed(object? input)
    {
        const int MaxListed = 12;
        return PlainText.OneLine(string.Join(", ", NamesOf(input).Take(MaxListed)), 200);
    }

    /// <summary>Returns the value of a key, ignoring case; null if there is none.</summary>
    public static object? ValueOf(IDictionary? row, string name) =>
        row?.Keys.OfType<string>().FirstOrDefault(key => key.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } key ? row[key] : null;
}
