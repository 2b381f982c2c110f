using System.Net;
using System.Security;
using InferenceBatch.Wire;

namespace InferenceBatch.Binding;

/// <summary>Reads what is in a SecureString. All of the module's secrets pass here, and <see cref="SecretMask"/> learns of each.</summary>
internal static class SecretText
{
    public static string? Of(SecureString? secret)
    {
        string? text = secret is null ? null : new NetworkCredential("", secret).Password;
        SecretMask.Add(text);
        return text;
    }

    /// <summary>The text; null also for an empty one, as of a variable that is not set.</summary>
    public static string? NotEmpty(SecureString? secret) => secret is { Length: > 0 } ? Of(secret) : null;
}
