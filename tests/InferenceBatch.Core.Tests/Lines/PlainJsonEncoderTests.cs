using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Lines;

public sealed class PlainJsonEncoderTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("plain", "\"plain\"")]
    [InlineData("", "\"\"")]
    [InlineData("Grüße, 日本, עברית", "\"Grüße, 日本, עברית\"")]
    [InlineData("😀👩‍👩‍👧 𝒳", "\"😀👩‍👩‍👧 𝒳\"")]
    [InlineData("</script> & 'quoted' + `ticks`", "\"</script> & 'quoted' + `ticks`\"")]
    [InlineData("say \"😀\"", "\"say \\\"😀\\\"\"")]
    [InlineData(@"C:\temp", @"""C:\\temp""")]
    [InlineData("a\r\n\t\b\f", @"""a\r\n\t\b\f""")]
    [InlineData("\0\u0001\u001f", @"""\u0000\u0001\u001f""")]
    [InlineData("\u007f\u0085\u2028\u2029\ufeff\uffff", "\"\u007f\u0085\u2028\u2029\ufeff\uffff\"")]
    public void Only_required_characters_are_escaped(string text, string json)
    {
        Assert.Equal(json, Write(writer => writer.WriteStringValue(text)));
        Assert.Equal(json, Write(writer => writer.WriteStringValue(Encoding.UTF8.GetBytes(text))));
        Assert.Equal($"{{{json}:1}}", Write(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber(text, 1);
            writer.WriteEndObject();
        }));
    }

    [Theory]
    [InlineData(@"\ud83d")]
    [InlineData(@"\ude00")]
    [InlineData(@"half \ud83d and on")]
    [InlineData(@"turned \ude00\ud83d")]
    [InlineData(@"after ""a quote"" \ud83d")]
    [InlineData(@"two \ud83d\ud83d\ude00")]
    public void Half_a_surrogate_pair_is_refused_and_not_replaced(string escaped)
    {
        string text = Regex.Unescape(escaped); // xunit cannot pass half a surrogate pair as an argument.
        Assert.Throws<ArgumentException>(() => Write(writer => writer.WriteStringValue(text)));
        Assert.Throws<ArgumentException>(() => Write(writer => writer.WritePropertyName(text)));
    }

    [Theory]
    [InlineData(new byte[] { 0x61, 0xFF })]
    [InlineData(new byte[] { 0x22, 0xE2, 0x82 })]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 })]
    public void Invalid_UTF8_is_refused_and_not_copied(byte[] utf8) =>
        Assert.Throws<ArgumentException>(() => Write(writer => writer.WriteStringValue(utf8)));

    [Fact]
    public void Written_text_is_read_as_the_same_text()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Written_text_is_read_as_the_same_text));
        for (int round = 0; round < 2_000 * Seed.Rounds; round++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 60)).Select(_ => RandomRune(random).ToString()));
            using var parsed = JsonDocument.Parse(Write(writer => writer.WriteStringValue(text)));
            Assert.Equal(text, parsed.RootElement.GetString());
        }
    }

    private static Rune RandomRune(Random random)
    {
        int[] limits = [0x20, 0x80, 0x800, 0x10000, 0x110000];
        int value = random.Next(limits[random.Next(limits.Length)]);
        return Rune.TryCreate(value, out Rune rune) ? rune : new Rune('"');
    }

    private static string Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(buffer, LineJson.WriterOptions);
        write(writer);
        writer.Flush();
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
