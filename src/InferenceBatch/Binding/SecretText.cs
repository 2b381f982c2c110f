using System.Net;
using System.Security;
using InferenceBatch.Wire;

namespace InferenceBatch.Binding;

/// <summary>Reads the text of a SecureString. All secrets of the module are read here, and registered with <see cref="SecretMask"/>.</summary>
internal static class SecretText
{
    public static string? Of(SecureString? secret)
    {
        string? text = secret is null ? null : new NetworkCredential("", secret).Password;
        SecretMask.Add(text);
        return text;
    }

    /// <summary>Returns the text; null also for an empty one, such as from a variable that is not set.</summary>
    public static string? NotEmpty(SecureString? secret) => secret is { Length: > 0 } ? Of(secret) : null;
}
