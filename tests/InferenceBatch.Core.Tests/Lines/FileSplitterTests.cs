using System.Text;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

public sealed class FileSplitterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("splitter-").FullName;

    private string Target => Path.Combine(_folder, "requests.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_single_part_has_the_requested_name()
    {
        using var splitter = new FileSplitter(Target, 3, 1_000_000);
        Assert.All(Requests(3), request => splitter.Add(request));
        FilePart part = Assert.Single(splitter.Rename(overwrite: false));
        Assert.Equal((Target, 3, new FileInfo(Target).Length, "/v1/embeddings"), (part.Path, part.RequestCount, part.Bytes, part.Endpoint));
        Assert.Equal([Target], Directory.GetFiles(_folder));
    }

    [Fact]
    public void Requests_over_the_limit_go_to_further_parts()
    {
        using var splitter = new FileSplitter(Target, 3, 1_000_000);
        LinePlace[] places = [.. Requests(7).Select(splitter.Add)];
        Assert.Equal([0, 0, 0, 1, 1, 1, 2], places.Select(place => place.File));
        IReadOnlyList<FilePart> parts = splitter.Rename(overwrite: false);
        Assert.Equal(File.ReadAllLines(parts[1].Path)[2], Encoding.UTF8.GetString(File.ReadAllBytes(parts[1].Path).AsSpan((int)places[5].Offset, places[5].Length)));
        Assert.Equal(["requests-001.jsonl", "requests-002.jsonl", "requests-003.jsonl"], parts.Select(part => Path.GetFileName(part.Path)));
        Assert.Equal([3, 3, 1], parts.Select(part => part.RequestCount));
        Assert.Equal(parts.Select(part => part.Path), Directory.GetFiles(_folder).Order());
        Assert.Equal(Enumerable.Range(1, 7).Select(i => $"r{i}"), parts.SelectMany(part => IdsOf(part.Path)));
    }

    [Fact]
    public void Each_endpoint_has_parts_of_its_own()
    {
        using var splitter = new FileSplitter(Target, 2, 1_000_000);
        BatchRequest[] requests = [.. Requests(9).Select((request, i) => new BatchRequest { CustomId = request.CustomId, Url = $"/v1/e{i % 3}", BodyUtf8 = request.BodyUtf8 })];
        LinePlace[] places = [.. requests.Select(splitter.Add)];
        Assert.Equal([0, 1, 2, 0, 1, 2, 3, 4, 5], places.Select(place => place.File));
        IReadOnlyList<FilePart> parts = splitter.Rename(overwrite: false);
        Assert.Equal(["/v1/e0", "/v1/e1", "/v1/e2", "/v1/e0", "/v1/e1", "/v1/e2"], parts.Select(part => part.Endpoint));
        Assert.Equal([2, 2, 2, 1, 1, 1], parts.Select(part => part.RequestCount));
        Assert.All(parts, part => Assert.Equal(part.Bytes, new FileInfo(part.Path).Length));
        Assert.All(requests.Zip(places), pair => Assert.Contains($"\"{pair.First.CustomId}\"",
            Encoding.UTF8.GetString(File.ReadAllBytes(parts[pair.Second.File].Path).AsSpan((int)pair.Second.Offset, pair.Second.Length)), StringComparison.Ordinal));
        Assert.Equal(parts.Select(part => part.Path), Directory.GetFiles(_folder).Order());
    }

    [Fact]
    public void Many_endpoints_do_not_keep_many_files_open()
    {
        using var splitter = new FileSplitter(Target, 100, 1_000_000);
        for (int i = 0; i < 60; i++)
        {
            splitter.Add(new BatchRequest { CustomId = $"r{i}", Url = $"/v1/e{i % 20}", BodyUtf8 = "{}"u8.ToArray() });
        }

        IReadOnlyList<FilePart> parts = splitter.Rename(overwrite: false);
        Assert.Equal(60, parts.Sum(part => part.RequestCount));
        Assert.Equal(60, parts.SelectMany(part => IdsOf(part.Path)).Distinct().Count());
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    public void A_part_is_filled_to_the_size_limit(int missing, int parts)
    {
        long size = Requests(4).Sum(LineWriter.MeasureLine);
        using var splitter = new FileSplitter(Target, 100, size - missing);
        Assert.All(Requests(4), request => splitter.Add(request));
        IReadOnlyList<FilePart> written = splitter.Rename(overwrite: false);
        Assert.Equal(parts, written.Count);
        Assert.All(written, part => Assert.Equal(part.Bytes, new FileInfo(part.Path).Length));
        Assert.All(written, part => Assert.InRange(part.Bytes, 1, size - missing));
    }

    [Fact]
    public void A_request_larger_than_a_file_is_refused_and_the_others_are_written()
    {
        BatchRequest large = Request("large", 500);
        using var splitter = new FileSplitter(Target, 100, LineWriter.MeasureLine(large) - 1);
        splitter.Add(Request("a"));
        RequestRefusedException refused = Assert.Throws<RequestRefusedException>(() => splitter.Add(large));
        Assert.Equal(RefusalReason.RequestTooLarge, refused.Reason);
        Assert.Contains("'large'", refused.Message, StringComparison.Ordinal);
        splitter.Add(Request("b"));
        Assert.Equal(["a", "b"], IdsOf(Assert.Single(splitter.Rename(overwrite: false)).Path));
        Assert.Equal(2, splitter.Count);
    }

    [Fact]
    public void A_repeated_ID_is_refused_across_parts_with_both_positions()
    {
        using var splitter = new FileSplitter(Target, 1, 1_000_000);
        splitter.Add(Request("ä"));
        splitter.Add(Request("b"));
        RequestRefusedException refused = Assert.Throws<RequestRefusedException>(() => splitter.Add(Request("ä")));
        Assert.Equal(RefusalReason.DuplicateCustomId, refused.Reason);
        Assert.Contains("Request 3", refused.Message, StringComparison.Ordinal);
        Assert.Contains("request 1", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, splitter.Rename(overwrite: false).Count);
    }

    [Fact]
    public void An_ID_with_half_a_surrogate_pair_is_refused()
    {
        using var splitter = new FileSplitter(Target, 10, 1_000_000);
        Assert.Equal(RefusalReason.InvalidCustomId, Assert.Throws<RequestRefusedException>(() => splitter.Add(Request("a\ud83d"))).Reason);
        splitter.Add(Request("a\ufffd"));
        Assert.Equal(["a\ufffd"], IdsOf(Assert.Single(splitter.Rename(overwrite: false)).Path));
    }

    [Fact]
    public void Dispose_deletes_parts_that_were_not_renamed()
    {
        using (var splitter = new FileSplitter(Target, 2, 1_000_000))
        {
            Assert.All(Requests(5), request => splitter.Add(request));
            Assert.False(File.Exists(Target));
            Assert.NotEmpty(Directory.GetFiles(_folder));
        }

        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void An_existing_file_is_replaced_only_with_overwrite()
    {
        File.WriteAllText(Path.Combine(_folder, "requests-002.jsonl"), "mine");
        using (var splitter = new FileSplitter(Target, 2, 1_000_000))
        {
            Assert.All(Requests(3), request => splitter.Add(request));
            Assert.Throws<IOException>(() => splitter.Rename(overwrite: false));
        }

        Assert.Equal("mine", File.ReadAllText(Assert.Single(Directory.GetFiles(_folder))));
        using (var splitter = new FileSplitter(Target, 2, 1_000_000))
        {
            Assert.All(Requests(3), request => splitter.Add(request));
            splitter.Rename(overwrite: true);
        }

        Assert.Equal(["r3"], IdsOf(Path.Combine(_folder, "requests-002.jsonl")));
    }

    [Fact]
    public void Without_requests_no_file_is_written()
    {
        using var splitter = new FileSplitter(Target, 2, 1_000_000);
        Assert.Empty(splitter.Rename(overwrite: false));
        Assert.Empty(Directory.GetFiles(_folder));
    }

    private static IEnumerable<BatchRequest> Requests(int count) => Enumerable.Range(1, count).Select(i => Request($"r{i}"));

    private static BatchRequest Request(string id, int filler = 10) => new()
    {
        CustomId = id,
        Url = "/v1/embeddings",
        BodyUtf8 = Encoding.UTF8.GetBytes("{\"model\":\"m\",\"input\":\"" + new string('x', filler) + "\"}"),
    };

    private static List<string> IdsOf(string path) => [.. File.ReadAllLines(path).Select(line =>
    {
        Assert.True(RequestLine.Parse(Encoding.UTF8.GetBytes(line), out RequestLine request, out _));
        return Encoding.UTF8.GetString(request.CustomId);
    })];
}
