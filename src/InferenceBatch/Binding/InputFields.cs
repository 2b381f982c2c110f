using System.Collections;
using System.Management.Automation;
using InferenceBatch.Wire;

namespace InferenceBatch.Binding;

/// <summary>What an input object has by name: the properties of an object, the keys of a dictionary.</summary>
internal static class InputFields
{
    public static IEnumerable<string> NamesOf(object? input) => input switch
    {
        null => [],
        IDictionary row => row.Keys.OfType<string>(),
        _ => PSObject.AsPSObject(input).Properties.Select(property => property.Name),
    };

    /// <summary>The first names, on a line; empty where there are none.</summary>
    public static string Listed(object? input)
    {
        const int MostNamed = 12;
        return PlainText.OneLine(string.Join(", ", NamesOf(input).Take(MostNamed)), 200);
    }

    /// <summary>The value of a key, in any case of its letters, as PowerShell would bind it; null where there is none.</summary>
    public static T? ValueOf<T>(IDictionary? row, string name)
        where T : class =>
        row?.Keys.OfType<string>().FirstOrDefault(key => key.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } key && row[key] is { } value
            ? LanguagePrimitives.ConvertTo<T>(value) : null;
}
