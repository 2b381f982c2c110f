using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Wire;

/// <summary>Text of services, models and users cannot control a terminal, and is valid Unicode.</summary>
public sealed class PlainTextTests
{
    // Neither in attributes nor enumerated at discovery: both replace halves of surrogate pairs.
    public static TheoryData<string, string> Texts => new()
    {
        { "plain", "plain" },
        { "Zoë 😀", "Zoë 😀" },
        { "a\u001b[31mb\u0007\u009bc\u007f", "a\ufffd[31mb\ufffd\ufffdc\ufffd" },
        { "a\ud83d", "a\ufffd" },
        { "\ude00a", "\ufffda" },
        { "\ud83d\ud83d\ude00\ude00", "\ufffd😀\ufffd" },
        { "a\nb\tc\r\nd\re", "a\nb\tc\r\nd\ufffde" },
    };

    public static TheoryData<string, int, string> CutTexts => new()
    {
        { "a\nb\r\nc\vd\u0085e", 20, "a b  c d e" },
        { "ab\ud83d\ude00", 3, "ab…" },
        { "ab\ud83d", 3, "ab\ufffd" },
        { "\ude00\ud83dabc", 2, "\ufffd…" },
        { "a\u001bbc", 2, "a\ufffd…" },
    };

    [Theory]
    [MemberData(nameof(Texts), DisableDiscoveryEnumeration = true)]
    public void Characters_that_a_terminal_or_UTF8_cannot_show_are_replaced(string text, string plain)
    {
        Assert.Equal(plain, PlainText.Of(text));
        Assert.Equal(plain, new LineIssue(1, "a", "c", text, IssueSeverity.Error).Message);
        Assert.Equal(plain, new ServiceException(ServiceErrorKind.ServiceRejected, text).Message);
        Assert.Contains(plain, Messages.Text("FileNotFound", text), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(CutTexts), DisableDiscoveryEnumeration = true)]
    public void A_text_on_one_line_is_plain_even_if_it_is_cut(string text, int length, string line) => Assert.Equal(line, PlainText.OneLine(text, length));
}
