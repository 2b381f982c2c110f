using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace InferenceBatch.Wire;

/// <summary>
/// Keeps the secrets of this process out of what it says: whatever handles a key adds it, and whatever reads a service's
/// text masks it. Services repeat keys in their errors, and gateways repeat whole requests.
/// </summary>
/// <remarks>
/// Masked is the whole secret, or any <see cref="Recognizable"/> characters of it in a row, also escaped in JSON, in a URL
/// or in HTML, and in base64. A secret of 8 to 11 characters is masked in messages only, as a word of its own: dummy keys
/// for local services, such as <c>lm-studio</c>, are words that answers may hold. What is shorter, or has fewer than four
/// different characters, is not a secret. Safe for several threads.
/// </remarks>
public static class SecretMask
{
    /// <summary>The characters in a row that give a secret away.</summary>
    public const int Recognizable = 12;

    private const int Shortest = 8;
    private const int FewestDifferent = 4;

    /// <summary>Parts of the names of headers that say what the client is or wants, and whose values are no secrets.</summary>
    private static readonly string[] s_publicHeaders = ["accept", "content-", "user-agent", "referer", "origin", "-version", "-beta"];

    private static readonly string[] s_secretWords = ["auth", "key", "token", "secret", "pass", "cookie", "credential", "signature", "session"];

    private static readonly object s_gate = new();
    private static readonly HashSet<string> s_secrets = new(StringComparer.Ordinal);
    private static readonly HashSet<string> s_dataSecrets = new(StringComparer.Ordinal);
    private static readonly SecretTable s_messages = new();
    private static readonly SecretTable s_data = new();

    /// <summary>Adds a secret, such as an API key or a webhook's secret; null and what is too short are left out.</summary>
    public static void Add(string? secret) => Add(secret, inData: true);

    /// <summary>
    /// Adds what is secret in a header that is sent with every call: each word of its value, and the password of basic
    /// authentication. Values that are neither named like a secret nor look like one are masked in messages only: an
    /// answer may hold the name of a team or an application.
    /// </summary>
    public static void AddHeader(string name, string value)
    {
        if (Array.Exists(s_publicHeaders, part => name.Contains(part, StringComparison.OrdinalIgnoreCase)))
        {
            return;
        }

        bool isNamed = Array.Exists(s_secretWords, word => name.Contains(word, StringComparison.OrdinalIgnoreCase));
        string[] words = value.Split([' ', ',', ';'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (string word in words)
        {
            Add(word, inData: isNamed || LooksSecret(word));
        }

        if (words is [var scheme, var credentials] && scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase))
        {
            byte[] decoded = new byte[credentials.Length];
            Add(Convert.TryFromBase64String(credentials, decoded, out int length)
                ? Encoding.UTF8.GetString(decoded, 0, length).Split(':', 2)[^1] : null);
        }
    }

    /// <summary>A message, a code or a word of a service without secrets.</summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Of(string? text) => Of(text, s_messages);

    /// <summary>An exception without secrets: itself where neither it nor what caused it holds one.</summary>
    [return: NotNullIfNotNull(nameof(exception))]
    public static Exception? Of(Exception? exception) =>
        exception?.ToString() is not { } all || ReferenceEquals(Of(all), all) ? exception
        : new InvalidOperationException(Of(exception.Message), Of(exception.InnerException));

    /// <summary>JSON of a service, such as a batch, without secrets.</summary>
    public static string OfJson(string json) => Of(json, s_data);

    /// <summary>Whether there is a secret in JSON of a service.</summary>
    public static bool IsInJson(ReadOnlySpan<byte> json) => s_data.IsIn(json);

    /// <summary>Takes the secrets out of JSON of a service, such as a result line, in place.</summary>
    /// <param name="json">UTF-8, which becomes no longer than it is.</param>
    /// <returns>The new length; the old one where there was no secret.</returns>
    public static int MaskJson(Span<byte> json) => s_data.Mask(json);

    private static void Add(string? secret, bool inData)
    {
        secret = secret?.Trim();
        if (secret is null || secret.Length < Shortest || secret.Distinct().Count() < FewestDifferent)
        {
            return;
        }

        lock (s_gate)
        {
            Add(secret, s_secrets, s_messages);
            if (inData && secret.Length >= Recognizable)
            {
                Add(secret, s_dataSecrets, s_data);
            }
        }
    }

    private static void Add(string secret, HashSet<string> known, SecretTable table)
    {
        if (known.Add(secret))
        {
            foreach (SecretForm form in SecretForm.Of(secret, Recognizable))
            {
                table.Add(form);
            }
        }
    }

    /// <summary>Whether a value is more likely a secret than a name: letters and digits, and no address.</summary>
    private static bool LooksSecret(string value) =>
        value.Any(char.IsAsciiDigit) && value.Any(char.IsAsciiLetter) && !value.Contains("://", StringComparison.Ordinal) && !value.Contains('@')
        || Array.Exists(s_secretWords, word => value.Contains(word, StringComparison.OrdinalIgnoreCase));

    [return: NotNullIfNotNull(nameof(text))]
    private static string? Of(string? text, SecretTable table)
    {
        if (text is null || text.Length < Shortest || table.IsEmpty)
        {
            return text;
        }

        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int length = table.Mask(bytes);
        return length == bytes.Length ? text : Encoding.UTF8.GetString(bytes, 0, length);
    }
}
