using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace InferenceBatch.Wire;

/// <summary>
/// Keeps the secrets of this process out of its output. Code that handles a key adds it, and code that reads a service's text
/// masks it. Services repeat keys in their errors, and gateways repeat whole requests.
/// </summary>
/// <remarks>
/// The whole secret and any <see cref="Recognizable"/> consecutive characters of it are masked, also if they are escaped in
/// JSON, in a URL or in HTML, or encoded in base64. A secret of 8 to 11 characters is masked only in messages, and only as a
/// separate word: dummy keys for local services, such as <c>lm-studio</c>, are words that may occur in answers. Shorter
/// values, and those with fewer than four different characters, are not secrets. Thread-safe.
/// </remarks>
public static class SecretMask
{
    /// <summary>The number of consecutive characters that reveal a secret.</summary>
    public const int Recognizable = 12;

    private const int MinLength = 8;
    private const int MinDistinctCharacters = 4;

    /// <summary>Parts of the names of headers whose values are not secret: they describe the client and what it accepts.</summary>
    private static readonly string[] s_publicHeaders = ["accept", "content-", "user-agent", "referer", "origin", "-version", "-beta"];

    private static readonly string[] s_secretWords = ["auth", "key", "token", "secret", "pass", "cookie", "credential", "signature", "session"];

    private static readonly object s_gate = new();
    private static readonly HashSet<string> s_secrets = new(StringComparer.Ordinal);
    private static readonly HashSet<string> s_dataSecrets = new(StringComparer.Ordinal);
    private static readonly SecretTable s_messages = new();
    private static readonly SecretTable s_data = new();

    /// <summary>Adds a secret, such as an API key or the secret of a webhook. Null and values that are too short are ignored.</summary>
    public static void Add(string? secret) => Add(secret, inData: true);

    /// <summary>
    /// Adds the secrets of a header that is sent with every call: each word of its value, and the password of basic
    /// authentication. If neither the name nor the value looks like a secret, the value is masked only in messages: it may be
    /// the name of a team or an application, which may occur in answers.
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

    /// <summary>Returns a message, a code or a word of a service without secrets.</summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Of(string? text) => Of(text, s_messages);

    /// <summary>Returns an exception without secrets: the same one if neither it nor its inner exceptions contain any.</summary>
    [return: NotNullIfNotNull(nameof(exception))]
    public static Exception? Of(Exception? exception) =>
        exception?.ToString() is not { } all || ReferenceEquals(Of(all), all) ? exception
        : new InvalidOperationException(Of(exception.Message), Of(exception.InnerException));

    /// <summary>Returns JSON of a service, such as a batch, without secrets.</summary>
    public static string OfJson(string json) => Of(json, s_data);

    /// <summary>Whether JSON of a service contains a secret.</summary>
    public static bool IsInJson(ReadOnlySpan<byte> json) => s_data.IsIn(json);

    /// <summary>Masks the secrets in JSON of a service, such as a result line, in place.</summary>
    /// <param name="json">The UTF-8 text. It never becomes longer.</param>
    /// <returns>The new length; the old one if there is no secret.</returns>
    public static int MaskJson(Span<byte> json) => s_data.Mask(json);

    private static void Add(string? secret, bool inData)
    {
        secret = secret?.Trim();
        if (secret is null || secret.Length < MinLength || secret.Distinct().Count() < MinDistinctCharacters)
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

    /// <summary>Whether a value is more likely a secret than a name: letters and digits that are not an address, or a word such as "key".</summary>
    private static bool LooksSecret(string value) =>
        value.Any(char.IsAsciiDigit) && value.Any(char.IsAsciiLetter) && !value.Contains("://", StringComparison.Ordinal) && !value.Contains('@')
        || Array.Exists(s_secretWords, word => value.Contains(word, StringComparison.OrdinalIgnoreCase));

    [return: NotNullIfNotNull(nameof(text))]
    private static string? Of(string? text, SecretTable table)
    {
        if (text is null || text.Length < MinLength || table.IsEmpty)
        {
            return text;
        }

        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int length = table.Mask(bytes);
        return length == bytes.Length ? text : Encoding.UTF8.GetString(bytes, 0, length);
    }
}
