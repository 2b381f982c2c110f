using System.Net;
using System.Text;
using System.Text.Encodings.Web;

namespace InferenceBatch.Wire;

/// <summary>
/// One way in which a secret may be written: as it is, escaped in JSON, in a URL or in HTML, or in base64. Each encoder
/// that services use in practice makes one form; most keys consist of letters, digits, <c>-</c> and <c>_</c>, and look the
/// same in all but base64.
/// </summary>
internal sealed class SecretForm
{
    private static readonly Func<string, string>[] s_encoders =
    [
        character => character,
        // JSON: the least, PHP, .NET, Go, Python.
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

    private SecretForm(byte[] bytes, int[] starts, int fewest)
    {
        Bytes = bytes;
        _starts = starts;
        Fewest = fewest;
    }

    /// <summary>The form, in UTF-8.</summary>
    public byte[] Bytes { get; }

    /// <summary>The characters in a row that give the secret away: all of a short one.</summary>
    public int Fewest { get; }

    /// <summary>Whether only the whole secret counts, and only where it is a word of its own.</summary>
    public bool IsShort { get; private init; }

    /// <summary>The different forms of a secret.</summary>
    /// <param name="secret">The secret.</param>
    /// <param name="recognizable">See <see cref="SecretMask.Recognizable"/>.</param>
    public static IEnumerable<SecretForm> Of(string secret, int recognizable)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        string[] characters = [.. secret.EnumerateRunes().Select(rune => rune.ToString())];
        bool isShort = characters.Length < recognizable;
        int fewest = Math.Min(characters.Length, recognizable);
        foreach (Func<string, string> encoder in s_encoders)
        {
            string[] encoded = [.. characters.Select(encoder)];
            if (known.Add(string.Concat(encoded)))
            {
                yield return From(encoded, fewest, isShort);
            }
        }

        if (isShort)
        {
            yield break;
        }

        // Four characters of base64 hold three bytes.
        int inBase64 = recognizable * 4 / 3;
        for (int shift = 0; shift < 3; shift++)
        {
            string text = Base64(Encoding.UTF8.GetBytes(secret), shift);
            foreach (string variant in new[] { text, text.Replace('+', '-').Replace('/', '_') }.Distinct())
            {
                yield return From([.. variant.Select(c => c.ToString())], Math.Min(inBase64, variant.Length), isShort: false);
            }
        }
    }

    /// <summary>The part of a run of bytes that consists of whole characters, and how many those are.</summary>
    public (int Start, int End, int Count) Whole(int start, int end)
    {
        int first = Array.BinarySearch(_starts, start);
        first = first >= 0 ? first : ~first;
        int last = Array.BinarySearch(_starts, end);
        last = last >= 0 ? last : ~last - 1;
        return last > first ? (_starts[first], _starts[last], last - first) : (start, start, 0);
    }

    /// <summary>The hexadecimal digits of an escape sequence in lower case; a character that needs none stays as it is.</summary>
    private static string LowerCase(string encoded, string character) => encoded == character ? character : encoded.ToLowerInvariant();

    private static SecretForm From(string[] characters, int fewest, bool isShort)
    {
        int[] starts = new int[characters.Length + 1];
        for (int i = 0; i < characters.Length; i++)
        {
            starts[i + 1] = starts[i] + Encoding.UTF8.GetByteCount(characters[i]);
        }

        return new SecretForm(Encoding.UTF8.GetBytes(string.Concat(characters)), starts, fewest) { IsShort = isShort };
    }

    /// <summary>
    /// What is the same in the base64 of any text that holds the secret behind <paramref name="shift"/> bytes, modulo three,
    /// such as the <c>user:</c> of basic authentication.
    /// </summary>
    private static string Base64(byte[] secret, int shift)
    {
        string text = Convert.ToBase64String([.. new byte[shift], .. secret]);
        int first = ((shift * 8) + 5) / 6;
        int end = (shift + secret.Length) * 8 / 6;
        return text[first..end];
    }
}
