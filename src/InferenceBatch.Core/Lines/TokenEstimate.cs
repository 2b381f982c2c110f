namespace InferenceBatch.Lines;

/// <summary>
/// Estimates the range of a text's tokens, for any model. Each byte has a minimum and a maximum weight, depending on its
/// character: tokenizers (byte pair encodings such as cl100k, o200k and Llama's) join the letters of known words, and split
/// other text into single characters or bytes.
/// </summary>
/// <remarks>
/// Characters per token, maximum to minimum: ASCII letters and blanks 6 to 2 (OpenAI's rule of thumb for English is 4);
/// digits 3 to 1; other ASCII 4 to 1; two-byte scripts such as Cyrillic, Greek, Arabic and accented letters 4 to 1; Indic and
/// Thai scripts and typographic signs 4 to ½; Chinese, Japanese and Korean 2 to ½; emoji 2 to ¼. The range covers typical
/// text: a long run of the same character may have fewer tokens.
/// </remarks>
internal static class TokenEstimate
{
    /// <summary>The total weight of one token.</summary>
    private const int TokenWeight = 12;

    private static readonly byte[] s_low = Weights(letter: 2, digit: 4, sign: 3, two: 3, three: 3, cjk: 6, four: 6);
    private static readonly byte[] s_high = Weights(letter: 6, digit: 12, sign: 12, two: 12, three: 24, cjk: 24, four: 48);

    /// <summary>Adds the tokens of a text to a range. A text that is not empty has at least one.</summary>
    /// <param name="utf8">The text.</param>
    /// <param name="low">Increased by the minimum number of tokens.</param>
    /// <param name="high">Increased by the maximum number.</param>
    public static void Add(ReadOnlySpan<byte> utf8, ref long low, ref long high)
    {
        if (utf8.IsEmpty)
        {
            return;
        }

        long minWeight = 0;
        long maxWeight = 0;
        foreach (byte b in utf8)
        {
            minWeight += s_low[b];
            maxWeight += s_high[b];
        }

        low += Math.Max(1, minWeight / TokenWeight);
        high += (maxWeight + TokenWeight - 1) / TokenWeight;
    }

    /// <summary>The first byte of a character has its weight; the bytes that follow have the weight 0.</summary>
    private static byte[] Weights(byte letter, byte digit, byte sign, byte two, byte three, byte cjk, byte four)
    {
        byte[] weights = new byte[256];
        for (int b = 0; b < weights.Length; b++)
        {
            weights[b] = b switch
            {
                < 0x80 when char.IsAsciiLetter((char)b) || b == ' ' => letter,
                < 0x80 when char.IsAsciiDigit((char)b) => digit,
                < 0x80 => sign,
                < 0xC0 => 0,
                < 0xE0 => two,
                < 0xE3 => three,
                < 0xEE => cjk,
                < 0xF0 => three,
                _ => four,
            };
        }

        return weights;
    }
}
