namespace InferenceBatch.Lines;

/// <summary>
/// Between how many tokens a text will have, whatever the model. Each byte weighs what its character costs at least and
/// at most: tokenizers (byte pair encodings such as cl100k, o200k and Llama's) join letters of words they know and
/// fall apart into single characters or bytes where they know none.
/// </summary>
/// <remarks>
/// Characters a token, most to fewest: ASCII letters and blanks 6 to 2 (OpenAI's rule of thumb for English is 4); digits
/// 3 to 1; other ASCII 4 to 1; two-byte scripts such as Cyrillic, Greek, Arabic and accented letters 4 to 1; Indic and
/// Thai scripts and typographic signs 4 to ½; Chinese, Japanese and Korean 2 to ½; emoji 2 to ¼. A range, no average:
/// a long run of one character may have fewer tokens still.
/// </remarks>
internal static class TokenEstimate
{
    /// <summary>The weights of one token.</summary>
    private const int One = 12;

    private static readonly byte[] s_low = Weights(letter: 2, digit: 4, sign: 3, two: 3, three: 3, cjk: 6, four: 6);
    private static readonly byte[] s_high = Weights(letter: 6, digit: 12, sign: 12, two: 12, three: 24, cjk: 24, four: 48);

    /// <summary>Adds a text's tokens to a range: at least one for what is not empty.</summary>
    /// <param name="utf8">The text.</param>
    /// <param name="low">Raised by the fewest tokens it may have.</param>
    /// <param name="high">Raised by the most.</param>
    public static void Add(ReadOnlySpan<byte> utf8, ref long low, ref long high)
    {
        if (utf8.IsEmpty)
        {
            return;
        }

        long lightest = 0;
        long heaviest = 0;
        foreach (byte b in utf8)
        {
            lightest += s_low[b];
            heaviest += s_high[b];
        }

        low += Math.Max(1, lightest / One);
        high += (heaviest + One - 1) / One;
    }

    /// <summary>A character's weight stands at its first byte; those that follow weigh nothing.</summary>
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
