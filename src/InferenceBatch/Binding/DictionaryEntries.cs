using System.Collections;
using System.Collections.Specialized;
using System.Management.Automation;

namespace InferenceBatch.Binding;

/// <summary>
/// The entries of a dictionary of any kind: <see cref="IDictionary"/>, the generic interfaces alone (ExpandoObject), or a
/// <see cref="NameValueCollection"/>.
/// </summary>
internal static class DictionaryEntries
{
    /// <summary>Types that enumerate in the order of hash codes, which differ from process to process. By name, so that their assemblies are not loaded for this.</summary>
    private static readonly string[] s_unordered =
    [
        "System.Collections.Concurrent.ConcurrentDictionary`2", "System.Collections.Immutable.ImmutableDictionary`2", "System.Collections.Frozen.FrozenDictionary`2",
    ];

    /// <summary>Whether the value is a dictionary of any kind.</summary>
    public static bool IsDictionary(object value) =>
        value is IDictionary or NameValueCollection || (value is IEnumerable and not string && HasGenericInterface(value.GetType()));

    /// <summary>Returns the names and values in the order of the dictionary, or sorted by name if it has none; null if the value is not a dictionary.</summary>
    /// <exception cref="UnwritableValueException">A key is not text.</exception>
    public static IEnumerable<(string Name, object? Value)>? Of(object value)
    {
        IEnumerable<(string Name, object? Value)>? entries = value switch
        {
            IDictionary map => Read(map),
            NameValueCollection map => map.AllKeys.Select(key => (key ?? "", (object?)map[key])),
            IEnumerable items when IsDictionary(items) => Read(items),
            _ => null,
        };
        return entries is null || IsOrdered(value) ? entries : entries.OrderBy(entry => entry.Name, StringComparer.Ordinal);
    }

    private static IEnumerable<(string Name, object? Value)> Read(IDictionary map)
    {
        IDictionaryEnumerator entries = map.GetEnumerator();
        while (entries.MoveNext())
        {
            yield return (ValueText.Of(entries.Key), entries.Value);
        }
    }

    private static IEnumerable<(string Name, object? Value)> Read(IEnumerable pairs)
    {
        foreach (object pair in pairs)
        {
            PSMemberInfoCollection<PSPropertyInfo> properties = PSObject.AsPSObject(pair).Properties;
            yield return (ValueText.Of(properties["Key"].Value), properties["Value"].Value);
        }
    }

    private static bool HasGenericInterface(Type type) => Array.Exists(
        type.GetInterfaces(),
        one => one.IsGenericType && (one.GetGenericTypeDefinition() == typeof(IDictionary<,>) || one.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>)));

    /// <summary>A class that another assembly derives from Hashtable keeps an order: what ConvertFrom-Json -AsHashtable returns.</summary>
    private static bool IsOrdered(object value)
    {
        if (value is Hashtable)
        {
            return value.GetType().Assembly != typeof(Hashtable).Assembly;
        }

        for (Type? type = value.GetType(); type is not null; type = type.BaseType)
        {
            if (type.IsGenericType && s_unordered.Contains(type.GetGenericTypeDefinition().FullName))
            {
                return false;
            }
        }

        return true;
    }
}
