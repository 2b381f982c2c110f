using System.Globalization;
using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>Batches that have ended with damaged, missing, late or incomplete result files: every readable row is returned, and nothing is paid for twice.</summary>
public sealed class RunResultFilesTests : IDisposable
{
    private const string Both = """ "output_file_id":"out","error_file_id":"err" """;
    private const string Counts = """ "request_counts":{"total":3,"completed":3,"failed":0} """;
    private const string NoCounts = """ "request_counts":{"total":0,"completed":0,"failed":0} """;

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly Recorder _seen = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("results-").FullName;
    private readonly List<string> _sent = [];
    private readonly Dictionary<string, Behaviour> _contents = [];

    public RunResultFilesTests()
    {
        _server.On("POST /v1/files", Answer.Choose(exchange =>
        {
            _sent.AddRange(exchange.BodyText.Split('\n').Where(line => line.StartsWith("{\"custom_id\"", StringComparison.Ordinal))
                .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()!));
            return Answer.Json("""{"id":"f"}""");
        }));
        _server.On("POST /v1/batches", Answer.Json("""{"id":"b","status":"validating"}"""));
    }

    public void Dispose()
    {
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public static TheoryData<string> Faults => ["404", "404 html", "403", "410", "500", "drop", "empty", "html", "cut"];

    /// <summary>A single call does not wait that long, but the run does, as for a late file.</summary>
    [Theory]
    [InlineData(503)]
    [InlineData(429)]
    public async Task A_long_Retry_After_is_waited_for(int status)
    {
        Batches(Ended("completed", Both, Counts));
        int calls = 0;
        Content("out", Answer.Choose(_ => ++calls == 1 ? Answer.Empty(status, "Retry-After: 200") : Lines("r1", "r2", "r3")));
        Content("err", Lines());
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.Equal(2, calls);
        Assert.Contains(_time.Waits, wait => wait >= TimeSpan.FromSeconds(190));
        Assert.Equal(3, _sent.Count);
    }

    /// <summary>The output file has a result for each request, so a problem of the other file is a warning at once.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public async Task An_unreadable_file_that_is_not_needed_is_a_warning_at_once(string fault)
    {
        Batches(Ended("completed", Both, Counts));
        Content("out", Lines("r1", "r2", "r3"));
        Content("err", Fault(fault));
        List<BatchResult> results = await RunAsync();
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Succeeded"], Outcomes(results));
        Assert.Empty(_seen.Problems);
        Assert.Equal(fault == "empty" ? [] : ["b"], _seen.Unread);
        Assert.Equal(1, _server.Asked.Count(call => call.StartsWith("GET /v1/files/err", StringComparison.Ordinal)));
        Assert.True(_time.Waits.Sum(wait => wait.TotalSeconds) < 5);
        Assert.Equal(3, _sent.Count);

        // The run is finished, so the same command reads the files on disk.
        int calls = _server.Requests.Count;
        Assert.Equal(3, (await RunAsync()).Count);
        Assert.Equal(calls, _server.Requests.Count);
    }

    /// <summary>Only the error file can be read. The answers in the output file are paid for.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public async Task The_other_file_is_read_if_the_output_file_cannot_be_read(string fault)
    {
        Batches(Ended("completed", Both, """ "request_counts":{"total":3,"completed":2,"failed":1} """));
        Content("out", Fault(fault));
        Content("err", Lines("!r2"));
        foreach (bool ordered in new[] { false, true })
        {
            List<BatchResult> results = await RunAsync(ordered: ordered);
            Assert.Equal([fault == "cut" ? "r1 Succeeded" : "r1 Missing", "r2 Failed", "r3 Missing"], Outcomes(results));
            BatchResult missing = results.Single(result => result.CustomId == "r3");
            Assert.Equal("result_unavailable", missing.Error?.Code);
            Assert.Contains("Get-BatchResult -Id 'b'", missing.Error?.Message, StringComparison.Ordinal);
            Assert.Contains(fault switch { "404 html" => "404", "drop" => "127.0.0.1", "empty" => "3 results", "html" => "Line 1", "cut" => "Line 2", _ => fault }, missing.Error?.Message, StringComparison.Ordinal);
        }

        Assert.Equal(2, _seen.Problems.Count);
        Assert.Equal(3, _sent.Count);

        // The next process downloads the file again, and nothing is paid for.
        Content("out", Lines("r1", "r3"));
        Assert.Equal(["r1 Succeeded", "r2 Failed", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.Equal(3, _sent.Count);
    }

    [Theory]
    [InlineData("404")]
    [InlineData("404 html")]
    public async Task A_file_that_becomes_visible_within_five_minutes_is_read(string fault)
    {
        Batches(Ended("completed", Both, """ "request_counts":{"total":3,"completed":2,"failed":1} """));
        Content("out", Lines("r1", "r3"));
        Content("err", Until(TimeSpan.FromMinutes(4), Fault(fault), Lines("!r2")));
        Assert.Equal(["r1 Succeeded", "r2 Failed", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.Equal(1, _server.Asked.Count(call => call.StartsWith("GET /v1/files/out", StringComparison.Ordinal)));
        Assert.Empty(_seen.Problems);
        Assert.Equal(["b"], _seen.Late);
    }

    [Theory]
    [InlineData("403")]
    [InlineData("410")]
    [InlineData("500")]
    public async Task Only_a_404_is_waited_for(string fault)
    {
        Batches(Ended("completed", Both, """ "request_counts":{"total":3,"completed":2,"failed":1} """));
        Content("out", Lines("r1", "r3"));
        Content("err", Fault(fault));
        Assert.Equal(["r1 Succeeded", "r2 Missing", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.True(_time.Waits.Sum(wait => wait.TotalSeconds) < 30);
    }

    [Fact]
    public async Task A_refused_key_ends_the_run()
    {
        Batches(Ended("completed", Both, Counts));
        Content("out", Fault("401"));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => RunAsync());
        Assert.Equal(ServiceErrorKind.Unauthorized, exception.Kind);
    }

    public static TheoryData<string, string> Endings => new()
    {
        { "completed", Counts },
        { "completed", NoCounts },
        { "completed", """ "request_counts":{"total":3,"completed":0,"failed":0} """ },
        { "completed", """ "x":1 """ },
        { "expired", Counts },
        { "expired", NoCounts },
        { "cancelled", Counts },
        { "cancelled", NoCounts },
        { "failed", Counts },
    };

    [Theory]
    [MemberData(nameof(Endings))]
    public async Task A_batch_that_names_its_file_late_is_polled_again_and_nothing_is_paid_for_again(string status, string counts)
    {
        Batches(Until(TimeSpan.FromMinutes(4), Ended(status, """ "output_file_id":null """, counts), Ended(status, """ "output_file_id":"out" """, Counts)));
        Content("out", Lines("r1", "r2", "r3"));
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.Equal(3, _sent.Count);
        Assert.Empty(_seen.Problems);
        Assert.Equal(["b"], _seen.Late);
    }

    [Theory]
    [MemberData(nameof(Endings))]
    public async Task Results_that_never_appear_are_missing_with_a_reason_after_five_minutes(string status, string counts)
    {
        Batches(Ended(status, """ "output_file_id":null """, counts));
        string expected = status == "failed" ? "Failed" : status == "cancelled" && counts == NoCounts ? "Cancelled" : "Missing";
        for (int process = 0; process < 2; process++)
        {
            _time.Advance(TimeSpan.FromHours(1));
            List<BatchResult> results = await RunAsync();
            Assert.Equal([$"r1 {expected}", $"r2 {expected}", $"r3 {expected}"], Outcomes(results));
            Assert.All(results.Where(_ => expected == "Missing"), result => Assert.Contains($"is {status}, but the service does not name a result file", result.Error?.Message, StringComparison.Ordinal));
        }

        Assert.Equal(3, _sent.Count);
        Assert.InRange(_time.Waits.Sum(wait => wait.TotalMinutes), 5, 11);
        Assert.InRange(_server.Asked.Count(call => call == "GET /v1/batches/b"), 10, 60);
    }

    /// <summary>According to the service there are no results, so no file is expected.</summary>
    [Theory]
    [InlineData("expired", """ "request_counts":{"total":3,"completed":0,"failed":0} """, "Missing", 9)]
    [InlineData("cancelled", """ "request_counts":{"total":3,"completed":0,"failed":0} """, "Cancelled", 3)]
    [InlineData("cancelled", """ "request_counts":{"total":0,"completed":0,"failed":0},"in_progress_at":null """, "Cancelled", 3)]
    [InlineData("failed", NoCounts, "Failed", 3)]
    public async Task A_batch_without_expected_results_is_not_waited_for(string status, string counts, string expected, int sent)
    {
        Batches(Ended(status, """ "output_file_id":null """, counts));
        Assert.Equal([$"r1 {expected}", $"r2 {expected}", $"r3 {expected}"], Outcomes(await RunAsync()));
        Assert.Equal(sent, _sent.Count);
        Assert.True(_time.Waits.Sum(wait => wait.TotalSeconds) < 30);
    }

    [Fact]
    public async Task The_second_of_two_expected_files_may_be_named_late()
    {
        const string Counted = """ "request_counts":{"total":3,"completed":2,"failed":1} """;
        Batches(Until(TimeSpan.FromMinutes(3), Ended("completed", """ "output_file_id":"out","error_file_id":null """, Counted), Ended("completed", Both, Counted)));
        Content("out", Lines("r1", "r3"));
        Content("err", Lines("!r2"));
        Assert.Equal(["r1 Succeeded", "r2 Failed", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.Equal(1, _server.Asked.Count(call => call.StartsWith("GET /v1/files/out", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("r1")]
    [InlineData("r1 r1 r1")]
    public async Task A_file_with_fewer_results_than_the_counts_is_downloaded_again_and_nothing_is_paid_for_again(string first)
    {
        Batches(Ended("completed", """ "output_file_id":"out" """, Counts));
        Content("out", Until(TimeSpan.FromMinutes(2), Lines(first.Split(' ', StringSplitOptions.RemoveEmptyEntries)), Lines("r1", "r2", "r3")));
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Succeeded"], Outcomes(await RunAsync()));
        Assert.Equal(3, _sent.Count);
    }

    /// <summary>A duplicate line is not a result of another request. The results in the other file are waited for, and not paid for again.</summary>
    [Theory]
    [InlineData(Counts)]
    [InlineData(NoCounts)]
    public async Task Duplicate_lines_do_not_count_for_other_requests(string counts)
    {
        Batches(Ended("completed", Both, counts));
        Content("out", Lines("!r1", "r1", "r2"));
        Content("err", Until(TimeSpan.FromMinutes(2), Fault("404"), Lines("!r3")));
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Failed"], Outcomes(await RunAsync()));
        Assert.Equal(3, _sent.Count);
        Assert.Empty(_seen.Unread);
    }

    [Theory]
    [InlineData("403")]
    [InlineData("html")]
    public async Task Duplicate_lines_do_not_make_an_unreadable_file_harmless(string fault)
    {
        Batches(Ended("completed", Both, NoCounts));
        Content("out", Lines("!r1", "r1", "r2"));
        Content("err", Fault(fault));
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Missing"], Outcomes(await RunAsync()));
        Assert.Equal(3, _sent.Count);

        Content("err", Lines("!r3"));
        Assert.Equal(["r1 Succeeded", "r2 Succeeded", "r3 Failed"], Outcomes(await RunAsync()));
        Assert.Equal(3, _sent.Count);
    }

    [Fact]
    public async Task A_file_that_stays_incomplete_leaves_its_rows_missing()
    {
        Batches(Ended("completed", """ "output_file_id":"out" """, Counts));
        Content("out", Lines("r1"));
        List<BatchResult> results = await RunAsync();
        Assert.Equal(["r1 Succeeded", "r2 Missing", "r3 Missing"], Outcomes(results));
        Assert.Contains("reports 3 results, but its result files contain 1", results.Single(result => result.CustomId == "r2").Error?.Message, StringComparison.Ordinal);
        Assert.Equal(3, _sent.Count);
    }

    /// <summary>Only requests that may be included in the counts are not retried. Here the third request is not included, so it is retried in another batch.</summary>
    [Fact]
    public async Task Requests_that_the_counts_exclude_are_retried()
    {
        Batches(Ended("completed", """ "output_file_id":"out" """, """ "request_counts":{"total":3,"completed":2,"failed":0} """));
        Content("out", Lines("r1", "r2"));
        Assert.Equal("r3 Missing", Outcomes(await RunAsync())[2]);
        Assert.Equal(["r1", "r2", "r3", "r3"], _sent);
    }

    /// <summary>Three parts: the five minutes of the first two run at the same time, and the third is not delayed.</summary>
    [Fact]
    public async Task Late_results_do_not_delay_another_batch()
    {
        using var bench = new RunBench();
        DateTimeOffset began = bench.Time.GetUtcNow();
        bench.Service.OnCall = exchange => exchange.Path is "/v1/files/out-batch-1/content" or "/v1/files/out-batch-2/content" ? Fault("404") : null;
        var results = new List<BatchResult>();
        await bench.RunIntoAsync(results);
        Assert.Equal(["r5", "r6"], results.Take(2).Select(result => result.CustomId));
        Assert.Equal(4, results.Skip(2).Count(result => result.Error?.Code == "result_unavailable"));
        Assert.InRange((bench.Time.GetUtcNow() - began).TotalMinutes, 5, 6);
        Assert.Equal(3, bench.Service.Creates);

        bench.Service.OnCall = _ => null;
        Assert.All((await bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.All(bench.Service.Billed.Values, times => Assert.Equal(1, times));
    }

    [Fact]
    public async Task A_timeout_ends_the_wait_for_results_too()
    {
        Batches(Ended("completed", """ "output_file_id":null """, Counts));
        Assert.Equal(["r1 Missing", "r2 Missing", "r3 Missing"], Outcomes(await RunAsync(new RunOptions { Timeout = TimeSpan.FromSeconds(40) })));
        Assert.InRange(_time.Waits.Sum(wait => wait.TotalSeconds), 30, 60);
    }

    [Fact]
    public async Task Missing_results_are_retried_only_with_RetryFailed()
    {
        Batches(Ended("completed", """ "output_file_id":null """, Counts));
        await RunAsync();
        await RunAsync();
        Assert.Equal(3, _sent.Count);
        await RunAsync(new RunOptions { RetryFailed = true });
        Assert.Equal(6, _sent.Count);
    }

    private static Behaviour Ended(string status, string files, string counts) => Answer.Json($$"""{"id":"b","status":"{{status}}",{{files}},{{counts}}}""");

    private static Behaviour Lines(params string[] ids) => Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(string.Concat(ids.Select(Line))));

    private static string Line(string id) => id[0] == '!'
        ? """{"custom_id":"ID","response":{"status_code":400,"body":{"error":{"code":"bad","message":"m"}}},"error":null}""".Replace("ID", id[1..], StringComparison.Ordinal) + "\n"
        : """{"custom_id":"ID","response":{"status_code":200,"body":{"choices":[{"message":{"content":"x"}}]}},"error":null}""".Replace("ID", id, StringComparison.Ordinal) + "\n";

    private static Behaviour Fault(string fault) => fault switch
    {
        "404 html" => Answer.Html(404),
        "drop" => Answer.Drop,
        "empty" => Answer.Whole(200, "text/plain", []),
        "html" => Answer.Html(200),
        "cut" => Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(Line("r1") + Line("r3")[..20])),
        _ => Answer.Json("""{"error":{"message":"No."}}""", int.Parse(fault, CultureInfo.InvariantCulture)),
    };

    private static List<string> Outcomes(List<BatchResult> results) => [.. results.OrderBy(result => result.CustomId).Select(result => $"{result.CustomId} {result.Status}")];

    private void Batches(Behaviour answer) => _server.On("GET /v1/batches/b", answer);

    /// <summary>Sets the response for the content of a file.</summary>
    private void Content(string id, Behaviour answer)
    {
        _contents[id] = answer;
        _server.On($"GET /v1/files/{id}/content", Answer.Choose(_ => _contents[id]));
    }

    /// <summary>Returns one response for a time, and another one later.</summary>
    private Behaviour Until(TimeSpan time, Behaviour first, Behaviour then)
    {
        DateTimeOffset began = _time.GetUtcNow();
        return Answer.Choose(_ => _time.GetUtcNow() - began < time ? first : then);
    }

    private async Task<List<BatchResult>> RunAsync(RunOptions? options = null, bool ordered = false)
    {
        using RunStore store = RunStore.Open(_folder);
        store.Begin(_server.BaseUri);
        using var input = new RunInput(store, 100, 1_000_000, deduplicate: false);
        foreach (string id in new[] { "r1", "r2", "r3" })
        {
            input.Add(new BatchRequest { CustomId = id, Url = "/v1/chat/completions", BodyUtf8 = Encoding.UTF8.GetBytes($$"""{"model":"m","n":"{{id}}"}""") });
        }

        using RunRequests all = input.Complete();
        var engine = new RunEngine(Clients.For(_server, _time), store, all, options ?? new RunOptions { Ordered = ordered }, _seen);
        return await engine.RunAsync().ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
    }

    private sealed class Recorder : RunObserver
    {
        public List<Exception> Problems { get; } = [];

        public List<string> Unread { get; } = [];

        public List<string> Late { get; } = [];

        public override void OnProblem(Exception problem) => Problems.Add(problem);

        public override void OnFileUnreadable(Batch batch, ServiceException problem) => Unread.Add(batch.Id);

        public override void OnResultsLate(Batch batch) => Late.Add(batch.Id);
    }
}
