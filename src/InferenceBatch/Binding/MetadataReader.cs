using System.Collections;

namespace InferenceBatch.Binding;

/// <summary>Reads a hashtable that <see cref="TextTableTransformationAttribute"/> has checked.</summary>
internal static class MetadataReader
{
    public static IReadOnlyDictionary<string, string>? Read(Hashtable? texts) =>
        texts?.Cast<DictionaryEntry>().ToDictionary(entry => (string)entry.Key, entry => (string)entry.Value!);
}
