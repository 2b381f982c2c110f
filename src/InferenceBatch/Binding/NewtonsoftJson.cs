using System.Management.Automation;
using System.Text.Json;

namespace InferenceBatch.Binding;

/// <summary>Reads Newtonsoft.Json's tokens (JObject, JArray, JValue), which other modules return, without a reference to that assembly.</summary>
internal static class NewtonsoftJson
{
    /// <summary>Whether the value is a token.</summary>
    public static bool IsToken(object value) => value.GetType().Namespace == "Newtonsoft.Json.Linq";

    /// <summary>Returns the token as JSON.</summary>
    public static JsonElement Read(object token)
    {
        // Formatting.None; a JValue without it returns its text instead of JSON.
        using var document = JsonDocument.Parse((string)PSObject.AsPSObject(token).Methods["ToString"].Invoke("None", Array.Empty<object>()));
        return document.RootElement.Clone();
    }
}
