using System.Collections;
using System.Management.Automation;

namespace InferenceBatch.Binding;

/// <summary>Reads -Metadata: a hashtable whose values are written as text.</summary>
internal static class MetadataReader
{
    public static IReadOnlyDictionary<string, string>? Read(Hashtable? metadata) =>
        metadata?.Cast<DictionaryEntry>().ToDictionary(
            entry => LanguagePrimitives.ConvertTo<string>(entry.Key), entry => LanguagePrimitives.ConvertTo<string>(entry.Value));
}
