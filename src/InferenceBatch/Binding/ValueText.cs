using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Internal;
using System.Security;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// A PowerShell value as text, the same on every machine: invariant culture, dates as the shortest exact ISO 8601
/// (<c>2026-01-01T00:00:00Z</c>). PowerShell itself would use the current culture for dates and the name of the type for objects.
/// </summary>
internal static class ValueText
{
    /// <summary>Returns the text of a value that has one.</summary>
    /// <exception cref="UnwritableValueException">The value is null, or it is not text; the message says how to make text of it.</exception>
    public static string Of(object? value) => OrNull(value) ?? throw new UnwritableValueException(Messages.Text("Unwritable.NotTextNull"));

    /// <summary>Returns the text of a value that has one; null for null.</summary>
    /// <exception cref="UnwritableValueException">The value is not text; the message says how to make text of it.</exception>
    public static string? OrNull(object? value)
    {
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        switch (plain)
        {
            case null or DBNull:
            case var _ when ReferenceEquals(value, AutomationNull.Value):
                return null;
            case string text:
                return text;
            case SecureString or PSCredential:
                throw new UnwritableValueException(Messages.Text("Unwritable.Secret"));
            case JsonElement { ValueKind: JsonValueKind.Object or JsonValueKind.Array } or JsonArray or JsonObject or JsonDocument or PSCustomObject:
                throw new UnwritableValueException(Messages.Text("Unwritable.NotTextObject", plain.GetType().Name));
            case JsonElement or JsonNode:
                return plain.ToString();
            case var _ when IsXml(plain):
                throw new UnwritableValueException(Messages.Text("Unwritable.NotTextXml", plain.GetType().Name));
            case var _ when NewtonsoftJson.IsToken(plain):
                JsonElement token = NewtonsoftJson.Read(plain);
                return token.ValueKind == JsonValueKind.Null ? null : OrNull(token);
            case var _ when DictionaryEntries.IsDictionary(plain):
                throw new UnwritableValueException(Messages.Text("Unwritable.NotTextObject", plain.GetType().Name));
            case IEnumerable:
                throw new UnwritableValueException(Messages.Text("Unwritable.NotTextList", plain.GetType().Name));
            default:
                string own = Invariant(plain);
                return plain is ScriptBlock or Delegate or Type || own == plain.GetType().ToString() ? throw new UnwritableValueException(Messages.Text("Unwritable.NotTextObject", plain.GetType().Name)) : own;
        }
    }

    /// <summary>Returns the text of a plain value.</summary>
    public static string Invariant(object value) => value switch
    {
        DateTime time => time.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", CultureInfo.InvariantCulture),
        DateTimeOffset { Offset.Ticks: 0 } time => time.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture),
        DateTimeOffset time => time.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFFzzz", CultureInfo.InvariantCulture),
        DateOnly date => date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        TimeOnly time => time.ToString("HH:mm:ss.FFFFFFF", CultureInfo.InvariantCulture),
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    /// <summary>Whether the value is XML of either library. By name, so that their assemblies are not loaded for this.</summary>
    public static bool IsXml(object value) => value.GetType().Namespace is "System.Xml" or "System.Xml.Linq";
}
