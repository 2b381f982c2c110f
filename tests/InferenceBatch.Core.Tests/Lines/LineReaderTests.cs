using System.Text;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Lines;

public sealed class LineReaderTests(ITestOutputHelper output)
{
    private sealed record Seen(string Line, int Number, long Offset, long NextOffset, bool Terminated, bool CarriageReturn);

    private static readonly byte[] s_mark = [0xEF, 0xBB, 0xBF];

    [Fact]
    public void An_empty_stream_has_no_lines()
    {
        using var reader = new LineReader(new MemoryStream());
        Assert.False(reader.Read());
        Assert.False(reader.Read());
        Assert.Equal(0, reader.Number);
    }

    [Fact]
    public void A_byte_order_mark_alone_is_not_a_line()
    {
        using var reader = new LineReader(new MemoryStream(s_mark));
        Assert.False(reader.Read());
        Assert.True(reader.HadByteOrderMark);
    }

    [Theory]
    [InlineData("a\nb\n", new[] { "a", "b" }, new long[] { 0, 2 })]
    [InlineData("a\nb", new[] { "a", "b" }, new long[] { 0, 2 })]
    [InlineData("a\r\nb\r\n", new[] { "a", "b" }, new long[] { 0, 3 })]
    [InlineData("\n\na", new[] { "", "", "a" }, new long[] { 0, 1, 2 })]
    [InlineData("\r\n", new[] { "" }, new long[] { 0 })]
    [InlineData("a\rb\n", new[] { "a\rb" }, new long[] { 0 })]
    [InlineData("a\r\r\n", new[] { "a\r" }, new long[] { 0 })]
    [InlineData("a\u2028b\u0085\n", new[] { "a\u2028b\u0085" }, new long[] { 0 })]
    public void Lines_end_only_at_LF(string text, string[] lines, long[] offsets)
    {
        List<Seen> seen = ReadAll(new MemoryStream(Encoding.UTF8.GetBytes(text)));
        Assert.Equal(lines, seen.Select(line => line.Line));
        Assert.Equal(offsets, seen.Select(line => line.Offset));
        Assert.Equal(Enumerable.Range(1, lines.Length), seen.Select(line => line.Number));
    }

    [Fact]
    public void Only_the_last_line_may_lack_a_terminator()
    {
        Assert.Equal([true, true], ReadAll(new MemoryStream("a\nb\n"u8.ToArray())).Select(line => line.Terminated));
        Assert.Equal([true, false], ReadAll(new MemoryStream("a\nb"u8.ToArray())).Select(line => line.Terminated));
    }

    [Fact]
    public void A_CR_without_LF_belongs_to_the_line()
    {
        Seen last = ReadAll(new MemoryStream("a\r\nb\r"u8.ToArray()))[^1];
        Assert.Equal(new Seen("b\r", 2, 3, 5, Terminated: false, CarriageReturn: false), last);
    }

    [Fact]
    public void A_byte_order_mark_is_skipped_and_counts_for_offsets()
    {
        using var reader = new LineReader(new MemoryStream([.. s_mark, .. "a\nb\n"u8]));
        Assert.True(reader.Read());
        Assert.True(reader.HadByteOrderMark);
        Assert.Equal("a"u8.ToArray(), reader.Line.ToArray());
        Assert.Equal(3, reader.Offset);
        Assert.True(reader.Read());
        Assert.Equal(5, reader.Offset);
    }

    [Fact]
    public void A_byte_order_mark_after_the_start_is_content()
    {
        using var reader = new LineReader(new MemoryStream([.. "a\n"u8, .. s_mark, .. "b\n"u8]));
        Assert.True(reader.Read());
        Assert.True(reader.Read());
        Assert.False(reader.HadByteOrderMark);
        Assert.Equal([.. s_mark, (byte)'b'], reader.Line.ToArray());
    }

    [Theory]
    [InlineData(new byte[] { 0xEF })]
    [InlineData(new byte[] { 0xEF, 0xBB })]
    public void An_incomplete_byte_order_mark_is_content(byte[] start)
    {
        using var reader = new LineReader(new ChunkedStream(start, new Random(1), 1));
        Assert.True(reader.Read());
        Assert.Equal(start, reader.Line.ToArray());
    }

    [Fact]
    public void A_line_longer_than_the_buffer_is_complete()
    {
        byte[] big = new byte[3_000_001];
        big.AsSpan().Fill((byte)'x');
        using var reader = new LineReader(new MemoryStream([.. "first\n"u8, .. big, .. "\nlast"u8]));
        Assert.True(reader.Read());
        Assert.True(reader.Read());
        Assert.True(reader.Line.Span.SequenceEqual(big));
        Assert.Equal(6, reader.Offset);
        Assert.True(reader.Read());
        Assert.Equal("last"u8.ToArray(), reader.Line.ToArray());
        Assert.Equal(6 + 3_000_001 + 1, reader.Offset);
        Assert.False(reader.Read());
    }

    [Fact]
    public void A_line_over_the_limit_is_an_error_and_does_not_use_all_memory()
    {
        using var reader = new LineReader(new MemoryStream([.. "first\n"u8, .. new byte[2_000_000]]), leaveOpen: false, maxLength: 500_000);
        Assert.True(reader.Read());
        IOException exception = Assert.Throws<IOException>(() => reader.Read());
        Assert.Contains("Line 2", exception.Message, StringComparison.Ordinal);
    }

    /// <summary>The limit applies to the content of the line: neither a CR nor a byte order mark counts.</summary>
    [Theory]
    [InlineData("", "\n")]
    [InlineData("", "\r\n")]
    [InlineData("\ufeff", "\n")]
    public void A_line_over_the_limit_is_skipped_and_the_next_one_is_complete(string mark, string end)
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(A_line_over_the_limit_is_skipped_and_the_next_one_is_complete));
        const int Longest = 300_000;
        int[] lengths = [Longest + 1, 3, Longest, 5_000_000, 0, Longest + 2, Longest, Longest + 1];
        byte[] file = Encoding.UTF8.GetBytes(mark + string.Concat(lengths.Select(length => new string('x', length) + end)));
        foreach (Stream stream in (Stream[])[new MemoryStream(file), new ChunkedStream(file, random, 200_000), new MemoryStream(file[..^end.Length])])
        {
            using var reader = new LineReader(stream, leaveOpen: false, Longest, skipsLonger: true);
            long offset = Encoding.UTF8.GetByteCount(mark);
            foreach (int length in lengths)
            {
                Assert.True(reader.Read());
                Assert.Equal((length > Longest, offset), (reader.IsTooLong, reader.Offset));
                Assert.Equal(length > Longest ? 0 : length, reader.Line.Length);
                offset += length + end.Length;
            }

            Assert.False(reader.Read());
            Assert.Equal(lengths.Length, reader.Number);
        }
    }

    /// <summary>A line may be as long as the file, and a file as long as the disk.</summary>
    [Fact]
    public void Reading_a_very_long_line_can_be_cancelled()
    {
        var stream = new MemoryStream(new byte[40_000_000]);
        Assert.Throws<OperationCanceledException>(
            () => new FileValidator(ValidationRules.LocalService).Validate(stream, null, null, new CancellationToken(canceled: true)));
        Assert.InRange(stream.Position, 0, 1_000_000);
    }

    [Fact]
    public void Dispose_closes_the_stream_unless_leaveOpen_is_set()
    {
        var stream = new MemoryStream();
        new LineReader(stream, leaveOpen: true).Dispose();
        Assert.True(stream.CanRead);
        new LineReader(stream).Dispose();
        Assert.False(stream.CanRead);
    }

    [Fact]
    public async Task Random_files_in_random_chunks_have_the_lines_of_a_simple_split()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Random_files_in_random_chunks_have_the_lines_of_a_simple_split));
        for (int round = 0; round < 300 * Seed.Rounds; round++)
        {
            byte[] file = RandomFile(random);
            List<Seen> expected = Split(file);
            int largest = file.Length > 10_000 ? 200_000 : random.Next(3) switch { 0 => 1, 1 => 7, _ => 200 };
            Assert.Equal(expected, ReadAll(new ChunkedStream(file, random, largest)));
            Assert.Equal(expected, await ReadAllAsync(new ChunkedStream(file, random, largest)));
        }
    }

    private static byte[] RandomFile(Random random)
    {
        var file = new List<byte>();
        if (random.Next(4) == 0)
        {
            file.AddRange(s_mark);
        }

        for (int lines = random.Next(20); lines > 0; lines--)
        {
            // Some lines do not fit in the first buffer (128 KiB).
            int length = random.Next(60) == 0 ? random.Next(100_000, 400_000) : random.Next(12);
            file.AddRange(Enumerable.Range(0, length).Select(_ => "ab\r "u8[random.Next(4)]));
            file.AddRange(lines == 1 && random.Next(2) == 0 ? ""u8 : random.Next(3) == 0 ? "\r\n"u8 : "\n"u8);
        }

        return [.. file];
    }

    private static List<Seen> Split(byte[] file)
    {
        var lines = new List<Seen>();
        int start = file.AsSpan().StartsWith(s_mark) ? 3 : 0;
        while (start < file.Length)
        {
            int newline = Array.IndexOf(file, (byte)'\n', start);
            int next = newline < 0 ? file.Length : newline + 1;
            string line = Encoding.Latin1.GetString(file, start, (newline < 0 ? file.Length : newline) - start);
            bool carriageReturn = newline >= 0 && line.EndsWith('\r');
            lines.Add(new Seen(carriageReturn ? line[..^1] : line, lines.Count + 1, start, next, newline >= 0, carriageReturn));
            start = next;
        }

        return lines;
    }

    private static List<Seen> ReadAll(Stream stream)
    {
        using var reader = new LineReader(stream);
        var lines = new List<Seen>();
        while (reader.Read())
        {
            lines.Add(Snapshot(reader));
        }

        return lines;
    }

    private static async Task<List<Seen>> ReadAllAsync(Stream stream)
    {
        using var reader = new LineReader(stream);
        var lines = new List<Seen>();
        while (await reader.ReadAsync())
        {
            lines.Add(Snapshot(reader));
        }

        return lines;
    }

    private static Seen Snapshot(LineReader reader) => new(
        Decode(reader.Line.Span), reader.Number, reader.Offset, reader.NextOffset, reader.IsTerminated, reader.HadCarriageReturn);

    private static string Decode(ReadOnlySpan<byte> line) => Encoding.UTF8.GetString(line);
}
