using System.Text;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

public sealed class FileSplitterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("splitter-").FullName;

    private string Target => Path.Combine(_folder, "requests.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void One_part_keeps_the_name()
    {
        using var splitter = new FileSplitter(Target, 10, 10_000);
        splitter.Add(Request("a"));
        FilePart part = Assert.Single(splitter.Rename(overwrite: false));
        Assert.Equal(Target, part.Path);
        Assert.Equal(1, part.RequestCount);
        Assert.Equal(new FileInfo(Target).Length, part.Bytes);
        Assert.Equal("/v1/completions", part.Endpoint);
        Assert.Equal(["requests.jsonl"], Names());
    }

    [Fact]
    public void A_part_is_given_as_soon_as_the_next_request_does_not_fit()
    {
        using var splitter = new FileSplitter(Target, 2, 10_000);
        Assert.Null(splitter.Add(Request("a")));
        Assert.Null(splitter.Add(Request("b")));
        FilePart closed = Assert.IsType<FilePart>(splitter.Add(Request("c")));
        Assert.Equal(2, closed.RequestCount);
        Assert.Equal(closed.Bytes, new FileInfo(closed.Path).Length);
        Assert.Equal(1, Assert.IsType<FilePart>(splitter.Close()).RequestCount);
        Assert.Null(splitter.Close());
        Assert.Equal(["requests-001.jsonl", "requests-002.jsonl"], splitter.Rename(overwrite: false).Select(part => Path.GetFileName(part.Path)));
        Assert.Equal(3, splitter.Count);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(-1, 2)]
    public void A_part_is_filled_to_the_last_byte(int spare, int parts)
    {
        int size = LineWriter.MeasureLine(Request("a"));
        using var splitter = new FileSplitter(Target, 10, (3 * size) + spare);
        foreach (string id in new[] { "a", "b", "c" })
        {
            splitter.Add(Request(id));
        }

        IReadOnlyList<FilePart> named = splitter.Rename(overwrite: false);
        Assert.Equal(parts, named.Count);
        Assert.All(named, part => Assert.True(new FileInfo(part.Path).Length <= (3 * size) + spare));
    }

    [Fact]
    public void A_request_that_no_file_can_hold_is_refused_and_the_rest_goes_on()
    {
        using var splitter = new FileSplitter(Target, 10, 200);
        splitter.Add(Request("a"));
        var refused = Assert.Throws<RequestRefusedException>(() => splitter.Add(Request("large", new string('x', 300))));
        Assert.Equal(RefusalReason.RequestTooLarge, refused.Reason);
        Assert.Contains("'large'", refused.Message, StringComparison.Ordinal);
        splitter.Add(Request("b"));
        Assert.Equal(2, Assert.Single(splitter.Rename(overwrite: false)).RequestCount);
    }

    [Fact]
    public void An_id_is_unique_over_all_parts_and_the_refusal_names_both_places()
    {
        using var splitter = new FileSplitter(Target, 1, 10_000);
        splitter.Add(Request("ü"));
        splitter.Add(Request("b"));
        var refused = Assert.Throws<RequestRefusedException>(() => splitter.Add(Request("ü")));
        Assert.Equal(RefusalReason.DuplicateCustomId, refused.Reason);
        Assert.Contains("request 3", refused.Message, StringComparison.Ordinal);
        Assert.Contains("request 1", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_left_of_parts_that_got_no_name()
    {
        using (var splitter = new FileSplitter(Target, 1, 10_000))
        {
            splitter.Add(Request("a"));
            splitter.Add(Request("b"));
            Assert.Equal(2, Names().Length);
        }

        Assert.Empty(Names());
    }

    [Fact]
    public void A_name_that_is_taken_stops_all_of_them_unless_it_may_be_replaced()
    {
        string taken = Path.Combine(_folder, "requests-002.jsonl");
        File.WriteAllText(taken, "mine");
        using var splitter = new FileSplitter(Target, 1, 10_000);
        splitter.Add(Request("a"));
        splitter.Add(Request("b"));
        Assert.Throws<IOException>(() => splitter.Rename(overwrite: false));
        Assert.Equal("mine", File.ReadAllText(taken));
        Assert.False(File.Exists(Path.Combine(_folder, "requests-001.jsonl")));
        Assert.Equal(2, splitter.Rename(overwrite: true).Count);
        Assert.Contains("\"b\"", File.ReadAllText(taken), StringComparison.Ordinal);
    }

    private static BatchRequest Request(string id, string text = "p") => new()
    {
        CustomId = id,
        Url = "/v1/completions",
        BodyUtf8 = Encoding.UTF8.GetBytes($$"""{"model":"m","prompt":"{{text}}"}"""),
    };

    private string[] Names() => [.. Directory.GetFiles(_folder, "*", new EnumerationOptions { AttributesToSkip = 0 }).Select(path => Path.GetFileName(path)!).Order()];
}
