using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Results;

public sealed class ResultJoinerTests(ITestOutputHelper output)
{
    [Fact]
    public void Each_result_gets_its_request_and_its_object()
    {
        RequestList requests = Requests("a", "b");
        var joiner = new ResultJoiner(requests);
        BatchResult result = joiner.Take(Result("b"))!;
        Assert.Equal("b", result.Request?.CustomId);
        Assert.Equal("object b", result.InputObject);
        Assert.Equal(1, joiner.Missing);
    }

    [Fact]
    public void Missing_results_are_returned_in_input_order()
    {
        var joiner = new ResultJoiner(Requests("a", "b", "c", "d"));
        joiner.Take(Result("c"));
        List<BatchResult> missing = [.. joiner.Finish()];
        Assert.Equal(["a", "b", "d"], missing.Select(result => result.CustomId));
        Assert.All(missing, result => Assert.Equal((ResultStatus.Missing, $"object {result.CustomId}"), (result.Status, result.InputObject)));
        Assert.Empty(joiner.Finish(listMissing: false));
    }

    [Fact]
    public void A_duplicate_ID_counts_once()
    {
        var joiner = new ResultJoiner(Requests("a"));
        Assert.NotNull(joiner.Take(Result("a")));
        Assert.Null(joiner.Take(Result("a")));
        Assert.Equal((1, 0, 0), (joiner.Duplicates, joiner.Unrequested, joiner.Missing));
    }

    /// <summary>The lines of request b, and which of them is its result: "ok 1" succeeds, "bad 2" fails with that message, "none 3" fails without a reason.</summary>
    [Theory]
    [InlineData("bad 1,ok 2", "ok 2")]
    [InlineData("ok 1,bad 2", "ok 1")]
    [InlineData("ok 1,ok 2", "ok 1")]
    [InlineData("bad 1,bad 2", "bad 2")]
    [InlineData("bad 1,none 2", "bad 1")]
    [InlineData("none 1,bad 2", "bad 2")]
    [InlineData("none 1,none 2", "none 2")]
    [InlineData("expired 1,bad 2,ok 3", "ok 3")]
    [InlineData("bad 1,ok 2,bad 3", "ok 2")]
    [InlineData("bad 1,ok 2,ok 3", "ok 2")]
    [InlineData("bad 1,expired 2", "expired 2")]
    public void Of_several_lines_the_first_success_or_the_last_failure_with_a_reason_counts(string lines, string expected)
    {
        foreach (bool isOrdered in new[] { false, true })
        {
            using ResultSpool? spool = isOrdered ? new ResultSpool(3) : null;
            using var joiner = new ResultJoiner(Requests("a", "b", "c"), spool);
            string[] all = lines.Split(',');
            var results = new List<BatchResult>();
            foreach ((string line, int number) in all.Select((line, number) => (line, number)).Append(("ok 9", 9)))
            {
                spool?.CopyResults($"batch_{number}");
                if (joiner.Take(Told(number == 9 ? "c" : "b", line, $"batch_{number}")) is { } given)
                {
                    results.Add(given);
                }
            }

            results.AddRange(joiner.Finish());
            BatchResult result = Assert.Single(results, result => result.CustomId == "b");
            Assert.Equal(expected.StartsWith("ok", StringComparison.Ordinal) ? ResultStatus.Succeeded
                : expected.StartsWith("expired", StringComparison.Ordinal) ? ResultStatus.Expired : ResultStatus.Failed, result.Status);
            Assert.Equal(Array.IndexOf(all, expected), int.Parse(result.BatchId!["batch_".Length..], System.Globalization.CultureInfo.InvariantCulture));
            Assert.Equal("object b", result.InputObject);
            Assert.Equal(["a", "b", "c"], results.Select(one => one.CustomId).Order());
            Assert.Equal((all.Length - 1, 0, 1), (joiner.Duplicates, joiner.Unrequested, joiner.Missing));
        }
    }

    [Fact]
    public void Failures_are_stored_until_the_end_and_successes_are_not()
    {
        using var joiner = new ResultJoiner(Requests("a", "b", "c"));
        Assert.Null(joiner.Take(Told("c", "bad 1")));
        Assert.Equal("b", joiner.Take(Told("b", "ok 2"))?.CustomId);
        Assert.Null(joiner.Take(Told("a", "bad 3")));
        Assert.Equal(["a", "c"], joiner.Finish().Select(result => result.CustomId));
    }

    [Fact]
    public void Unrequested_results_are_returned_and_counted()
    {
        var joiner = new ResultJoiner(Requests("a"));
        BatchResult stranger = joiner.Take(Result("z"))!;
        Assert.Null(stranger.Request);
        Assert.Equal((0, 1, 1), (joiner.Duplicates, joiner.Unrequested, joiner.Missing));
    }

    [Fact]
    public void Ordered_results_are_returned_at_the_end_in_the_order_of_the_requests()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Ordered_results_are_returned_at_the_end_in_the_order_of_the_requests));
        string[] ids = [.. Enumerable.Range(1, 2_000).Select(i => $"request-{i}")];
        string[] coming = [.. ids.Where(_ => random.Next(10) > 0), .. ids.Where(_ => random.Next(20) == 0)];
        random.Shuffle(coming);
        using var spool = new ResultSpool(ids.Length, text => text + "!");
        var joiner = new ResultJoiner(Requests(ids), spool);
        foreach (IGrouping<int, string> batch in coming.GroupBy(id => id.Length))
        {
            spool.CopyResults($"batch_{batch.Key}");
            Assert.All(batch, id => Assert.Null(joiner.Take(Result(id, $"batch_{id.Length}"))));
        }

        List<BatchResult> results = [.. joiner.Finish()];
        Assert.Equal(ids, results.Select(result => result.CustomId));
        Assert.All(results, result =>
        {
            bool came = coming.Contains(result.CustomId);
            Assert.Equal(came ? ResultStatus.Succeeded : ResultStatus.Missing, result.Status);
            Assert.Equal($"object {result.CustomId}", result.InputObject);
            Assert.Equal(came ? $"text of {result.CustomId}" : null, result.Text);
            Assert.Equal(came ? $"batch_{result.CustomId.Length}" : null, result.BatchId);
            Assert.Equal(came ? $"text of {result.CustomId}!" : null, result.Value);
        });
        Assert.Equal(coming.Length - coming.Distinct().Count(), joiner.Duplicates);
        Assert.Equal(ids.Length - coming.Distinct().Count(), joiner.Missing);
    }

    [Fact]
    public async Task Ordered_results_of_a_file_are_read_by_ID_first_and_unrequested_ones_in_full()
    {
        string path = WriteFile(ResultText("b") + "\n" + ResultText("z") + "\r\n\n" + ResultText("a"));
        try
        {
            using var spool = new ResultSpool(2, text => text + "!");
            spool.ReadFrom(path, "batch_1");
            var joiner = new ResultJoiner(Requests("a", "b"), spool);
            var strangers = new List<BatchResult>();
            using FileStream stream = File.OpenRead(path);
            await foreach (BatchResult result in new ResultReader { IdsOnly = true }.ReadAsync(stream, null))
            {
                if (joiner.Take(result) is { } stranger)
                {
                    strangers.Add(stranger);
                }
            }

            (string, string?, object?, string?)[] expected = [("a", "text of a", "text of a!", "batch_1"), ("b", "text of b", "text of b!", "batch_1"), ("z", "text of z", "text of z!", "batch_1")];
            Assert.Equal(expected, joiner.Finish().Concat(strangers).Select(result => (result.CustomId, result.Text, result.Value, result.BatchId)));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_list_accepts_each_ID_once()
    {
        RequestList requests = Requests("a", "b");
        Assert.False(requests.Add(new BatchRequest { CustomId = "a", Url = "/v1/embeddings", BodyUtf8 = "{}"u8.ToArray() }));
        Assert.Equal((2, 1, -1), (requests.Count, requests.Find("b"), requests.Find("B")));
    }

    [Fact]
    public void An_index_finds_requests_in_files_and_reads_them_again()
    {
        string first = WriteFile("\ufeff" + Line("a") + "\r\n\r\n" + Line("😀\\n") + "\r\noops\r\n" + Line("a") + "\r\n");
        string second = WriteFile(Line("c") + "\n" + Line("a"));
        try
        {
            using var index = new RequestIndex();
            Assert.Equal(2, index.Add(first)); // A line that is not a request, and a line with a duplicate ID.
            Assert.Equal(1, index.Add(second));
            Assert.Equal(3, index.Count);
            Assert.Equal((0, 1, 2, -1), (index.Find("a"), index.Find("😀\n"), index.Find("c"), index.Find("d")));
            BatchRequest request = index.Read(1);
            Assert.Equal(("😀\n", "POST", "/v1/chat/completions"), (request.CustomId, request.Method, request.Url));
            Assert.Equal("""{"model":"m","n":"😀\\n"}""", request.Body);
            Assert.Equal("c", index.Read(2).CustomId);
            Assert.Equal(-1, index.Find(new string('x', 100_000)));

            File.WriteAllText(second, "short");
            Assert.Throws<IOException>(() => index.Read(2));
        }
        finally
        {
            File.Delete(first);
            File.Delete(second);
        }
    }

    private static string Line(string id) =>
        """{"custom_id":"ID","method":"POST","url":"/v1/chat/completions","body":{"model":"m","n":"😀\\n"}}""".Replace("ID", id, StringComparison.Ordinal);

    private static string WriteFile(string text)
    {
        string path = Path.Combine(Path.GetTempPath(), $"requests-{Guid.NewGuid():N}.jsonl");
        File.WriteAllText(path, text, new UTF8Encoding(false));
        return path;
    }

    private static RequestList Requests(params string[] ids)
    {
        var list = new RequestList();
        Assert.All(ids, id => Assert.True(list.Add(new BatchRequest
        {
            CustomId = id,
            Url = "/v1/chat/completions",
            BodyUtf8 = "{}"u8.ToArray(),
            InputObject = $"object {id}",
        })));
        return list;
    }

    private static BatchResult Result(string id, string? batchId = null) =>
        ResultLineReader.Read(Encoding.UTF8.GetBytes(ResultText(id)), batchId, text => text + "!");

    private static BatchResult Told(string id, string line, string batchId = "batch")
    {
        string[] words = line.Split(' ');
        string rest = words[0] switch
        {
            "ok" => """ "response":{"status_code":200,"body":{"choices":[{"message":{"content":"x"}}]}},"error":null""",
            "bad" => """ "response":{"status_code":400,"body":{"error":{"code":"bad","message":"WHY"}}},"error":null""".Replace("WHY", words[1], StringComparison.Ordinal),
            "expired" => """ "response":null,"error":{"code":"batch_expired","message":"late"}""",
            _ => """ "response":null,"error":null""",
        };
        return ResultLineReader.Read(Encoding.UTF8.GetBytes($$"""{"custom_id":"{{id}}",{{rest}}}"""), batchId);
    }

    private static string ResultText(string id) =>
        "{\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"body\":{\"choices\":[{\"text\":\"text of " + id + "\"}]}}}";
}
