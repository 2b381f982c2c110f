using System.Text;
using System.Text.Unicode;

namespace InferenceBatch.Lines;

/// <summary>The fast check against the runtime's own, which is the reference.</summary>
public sealed class Utf8CheckTests
{
    // RFC 3629: what each length begins and ends with, and what looks like it and is none.
    private static readonly byte[][] s_pieces =
    [
        .. new[] { "a", "plain text, all ASCII", "\u0080", "\u07FF", "é", "\u0800", "\uD7FF", "\uE000", "\uFFFF", "请求", "🙂", "\U0010FFFF" }.Select(Encoding.UTF8.GetBytes),
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xDF, 0x41], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xE1, 0x80], [0xED, 0xA0, 0x80],
        [0xED, 0xBF, 0xBF], [0xEF, 0xBF, 0x7F], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF1, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
        [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
    ];

    [Fact]
    public void EveryPieceAtEveryPlaceIsJudgedAsTheRuntimeJudgesIt()
    {
        foreach (byte[] piece in s_pieces)
        {
            for (int place = 0; place < 80; place++)
            {
                byte[] text = [.. Enumerable.Repeat((byte)'x', place), .. piece];
                Assert.Equal(Utf8.IsValid(text), Utf8Check.IsValid(text));
                byte[] followed = [.. text, .. "ein Schluß"u8, .. new byte[place]];
                Assert.Equal(Utf8.IsValid(followed), Utf8Check.IsValid(followed));
            }
        }
    }

    [Fact]
    public void TwoPiecesSideBySideAreJudgedAsTheRuntimeJudgesThem()
    {
        foreach (byte[] first in s_pieces)
        {
            foreach (byte[] second in s_pieces)
            {
                for (int place = 10; place < 36; place++)
                {
                    byte[] text = [.. Enumerable.Repeat((byte)'x', place), .. first, .. second, .. new byte[12]];
                    Assert.Equal(Utf8.IsValid(text), Utf8Check.IsValid(text));
                }
            }
        }
    }

    [Fact]
    public void EveryPairOfBytesIsJudgedAsTheRuntimeJudgesIt()
    {
        byte[] text = new byte[70];
        for (int pair = 0; pair < 0x10000; pair++)
        {
            text[31] = text[65] = (byte)(pair >> 8);
            text[32] = text[66] = (byte)pair;
            Assert.Equal(Utf8.IsValid(text), Utf8Check.IsValid(text));
        }
    }
}
