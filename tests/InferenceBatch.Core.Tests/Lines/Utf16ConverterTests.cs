using System.Text;
using InferenceBatch.Support;

namespace InferenceBatch.Lines;

/// <summary>Conversion of UTF-16 files, which Out-File and other Windows programs write, to UTF-8.</summary>
public sealed class Utf16ConverterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("utf16-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(true, false)]
    public async Task The_text_is_converted_to_UTF8_without_a_byte_order_mark(bool bigEndian, bool hasMark)
    {
        const string Text = "{\"a\":\"Grüße 你好 😀\"}\r\n{}\n";
        string path = Write(new UnicodeEncoding(bigEndian, hasMark), Text);
        TextFileStart start = TextFileStart.Of(path);
        Assert.Equal(new TextFileStart(true, bigEndian, hasMark ? 2 : 0), start);
        string target = Path.Combine(_folder, "out");
        await Utf16Converter.ConvertAsync(path, start, target);
        Assert.Equal(Encoding.UTF8.GetBytes(Text), await File.ReadAllBytesAsync(target));
    }

    /// <summary>A block has an even number of units, so the single unit at the start makes pairs cross the ends of blocks.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Surrogate_pairs_across_blocks_are_converted(bool bigEndian)
    {
        string text = "x" + string.Concat(Enumerable.Repeat("😀", 200_000));
        byte[] utf16 = new UnicodeEncoding(bigEndian, false).GetBytes(text);
        using var output = new MemoryStream();
        await Utf16Converter.ConvertAsync(new ChunkedStream(utf16, new Random(7), 777), bigEndian, output, default);
        Assert.Equal(text, Encoding.UTF8.GetString(output.ToArray()));
    }

    /// <summary>H and L represent the halves of a pair, because an attribute cannot contain half a pair.</summary>
    [Theory]
    [InlineData("{}\n{}\n{\"a\":\"H\"}\n", 3)]
    [InlineData("{\"a\":\"L\"}\n", 1)]
    [InlineData("{}\nH", 2)]
    public async Task The_error_for_half_a_surrogate_pair_names_the_line(string text, int line)
    {
        byte[] bytes = text.Replace('H', '\ud83d').Replace('L', '\ude00').SelectMany(unit => new[] { (byte)unit, (byte)(unit >> 8) }).ToArray();
        using var output = new MemoryStream();
        TextEncodingException exception = await Assert.ThrowsAsync<TextEncodingException>(
            () => Utf16Converter.ConvertAsync(new MemoryStream(bytes), false, output, default));
        Assert.Contains($"Line {line} ", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_cut_off_within_a_character_is_an_error()
    {
        using var output = new MemoryStream();
        await Assert.ThrowsAsync<TextEncodingException>(() => Utf16Converter.ConvertAsync(new MemoryStream([0x7B, 0, 0x7D]), false, output, default));
    }

    [Theory]
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF, 0x7B }, false, 3)]
    [InlineData(new byte[] { 0xFF, 0xFE }, true, 2)]
    [InlineData(new byte[] { 0xFF, 0xFE, 0, 0 }, false, 0)]
    [InlineData(new byte[] { 0x7B, 0x22 }, false, 0)]
    [InlineData(new byte[] { }, false, 0)]
    public void The_first_bytes_determine_the_encoding(byte[] bytes, bool isUtf16, int mark)
    {
        TextFileStart start = TextFileStart.Of(bytes);
        Assert.Equal((isUtf16, mark), (start.IsUtf16, start.MarkLength));
    }

    private string Write(Encoding encoding, string text)
    {
        string path = Path.Combine(_folder, "in.jsonl");
        File.WriteAllBytes(path, [.. encoding.GetPreamble(), .. encoding.GetBytes(text)]);
        return path;
    }
}
