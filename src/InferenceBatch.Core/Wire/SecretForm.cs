using System.Net;
using System.Text;
using System.Text.Encodings.Web;

namespace InferenceBatch.Wire;

/// <summary>
/// A form in which a secret may appear: unchanged, escaped in JSON, in a URL or in HTML, or in base64. There is one form per
/// encoder that services use in practice. Most keys consist of letters, digits, <c>-</c> and <c>_</c>, so all their forms
/// are the same except base64.
/// </summary>
internal sealed class SecretForm
{
    private static readonly Func<string, string>[] s_encoders =
    [
        character => character,
        // JSON: minimal escapes, PHP, .NET, Go, Python.
        character => character is "\"" or "\\" ? "\\" + character : character,
        character => character is "\"" or "\\" or "/" ? "\\" + character : character,
        JavaScriptEncoder.Default.Encode,
        character => character is "\"" or "\\" ? "\\" + character : character is "<" or ">" or "&" ? LowerCase(JavaScriptEncoder.Default.Encode(character), character) : character,
        character => character is "\"" or "\\" ? "\\" + character : character[0] > '~' ? LowerCase(JavaScriptEncoder.Default.Encode(character), character) : character,
        Uri.EscapeDataString,
        character => LowerCase(Uri.EscapeDataString(character), character),
        WebUtility.HtmlEncode,
    ];

    private readonly int[] _starts;

    private SecretForm(byte[] bytes, int[] starts, int minLength)
    {
        Bytes = bytes;
        _starts = starts;
        MinLength = minLength;
    }

    /// <summary>The form, in UTF-8.</summary>
    public byte[] Bytes { get; }

    /// <summary>The number of consecutive characters that reveal the secret: all of a short one.</summary>
    public int MinLength { get; }

    /// <summary>Whether the secret is found only as a whole, and only as a separate word.</summary>
    public bool IsShort { get; private init; }

    /// <summary>Returns the different forms of a secret.</summary>
    /// <param name="secret">The secret.</param>
    /// <param name="recognizable">See <see cref="SecretMask.Recognizable"/>.</param>
    public static IEnumerable<SecretForm> Of(string secret, int recognizable)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        string[] characters = [.. secret.EnumerateRunes().Select(rune => rune.ToString())];
        bool isShort = characters.Length < recognizable;
        int minLength = Math.Min(characters.Length, recognizable);
        foreach (Func<string, string> encoder in s_encoders)
        {
            string[] encoded = [.. characters.Select(encoder)];
            if (known.Add(string.Concat(encoded)))
            {
                yield return From(encoded, minLength, isShort);
            }
        }

        if (isShort)
        {
            yield break;
        }

        // Four characters of base64 encode three bytes.
        int base64Length = recognizable * 4 / 3;
        for (int shift = 0; shift < 3; shift++)
        {
            string text = Base64(Encoding.UTF8.GetBytes(secret), shift);
            foreach (string variant in new[] { text, text.Replace('+', '-').Replace('/', '_') }.Distinct())
            {
                yield return From([.. variant.Select(c => c.ToString())], Math.Min(base64Length, variant.Length), isShort: false);
            }
        }
    }

    /// <summary>Returns the part of a range of bytes that consists of complete characters, and their number.</summary>
    public (int Start, int End, int Count) CompleteCharacters(int start, int end)
    {
        int first = Array.BinarySearch(_starts, start);
        first = first >= 0 ? first : ~first;
        int last = Array.BinarySearch(_starts, end);
        last = last >= 0 ? last : ~last - 1;
        return last > first ? (_starts[first], _starts[last], last - first) : (start, start, 0);
    }

    /// <summary>Returns an escape sequence with lower-case hexadecimal digits. A character without an escape sequence is unchanged.</summary>
    private static string LowerCase(string encoded, string character) => encoded == character ? character : encoded.ToLowerInvariant();

    private static SecretForm From(string[] characters, int minLength, bool isShort)
    {
        int[] starts = new int[characters.Length + 1];
        for (int i = 0; i < characters.Length; i++)
        {
            starts[i + 1] = starts[i] + Encoding.UTF8.GetByteCount(characters[i]);
        }

        return new SecretForm(Encoding.UTF8.GetBytes(string.Concat(characters)), starts, minLength) { IsShort = isShort };
    }

    /// <summary>
    /// Returns the part of the base64 that is the same in any text with <paramref name="shift"/> bytes, modulo three, before the
    /// secret, such as the <c>user:</c> of basic authentication.
    /// </summary>
    private static string Base64(byte[] secret, int shift)
    {
        string text = Convert.ToBase64String([.. new byte[shift], .. secret]);
        int first = ((shift * 8) + 5) / 6;
        int end = (shift + secret.Length) * 8 / 6;
        return text[first..end];
    }
}
