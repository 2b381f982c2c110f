using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>Whole runs against a scripted service: send, wait, read, and retry temporary failures.</summary>
public sealed class RunEngineTests : IDisposable
{
    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("run-").FullName;
    private readonly List<List<string>> _sent = [];
    private readonly Recorder _seen = new();

    public void Dispose()
    {
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Every_request_gets_one_result_for_any_number_of_parts()
    {
        Serve((_, id) => Good(id));
        List<BatchResult> results = await RunAsync(25, partSize: 10);
        Assert.Equal(Ids(25).Order(), results.Select(result => result.CustomId).Order());
        Assert.All(results, result => Assert.Equal((ResultStatus.Succeeded, result.CustomId, "object " + result.CustomId), (result.Status, result.Text, result.InputObject)));
        Assert.Equal([10, 10, 5], _sent.Select(lines => lines.Count));
    }

    [Fact]
    public async Task Ordered_results_are_in_the_order_of_the_requests()
    {
        Serve((attempt, id) => attempt == 1 && id is "r3" or "r9" ? Failed(id, 500) : id == "r5" ? Failed(id, 400) : Good(id), reverse: true);
        List<BatchResult> results = await RunAsync(12, partSize: 5, ordered: true);
        Assert.Equal(Ids(12), results.Select(result => result.CustomId));
        Assert.Equal(["r5"], results.Where(result => result.Status == ResultStatus.Failed).Select(result => result.CustomId));
    }

    [Fact]
    public async Task Ordered_results_with_a_masked_key_are_read_again_in_full()
    {
        Serve((_, id) => Line(id, "{\"status_code\":401,\"body\":{\"error\":{\"message\":\"Incorrect API key: " + Clients.Key + " for ID\"}}}", "null"), reverse: true);
        List<BatchResult> results = await RunAsync(3, ordered: true);
        Assert.Equal(Ids(3), results.Select(result => result.CustomId));
        Assert.All(results, result => Assert.Equal("Incorrect API key: *** for " + result.CustomId, result.Error!.Message));
        Assert.All(results, result => Assert.EndsWith("}", result.Json, StringComparison.Ordinal));
    }

    /// <summary>Which lines are retried; the help of Invoke-Batch has the rules.</summary>
    [Theory]
    [InlineData("408", true)]
    [InlineData("409", true)]
    [InlineData("429", true)]
    [InlineData("500", true)]
    [InlineData("503", true)]
    [InlineData("0", true)]
    [InlineData("inference_failed", true)]
    [InlineData("batch_expired", true)]
    [InlineData("missing", true)]
    [InlineData("400", false)]
    [InlineData("404", false)]
    [InlineData("422", false)]
    [InlineData("batch_cancelled", false)]
    public async Task Only_temporary_failures_are_retried(string fault, bool isRetried)
    {
        Serve((attempt, id) => attempt > 1 || id != "r2" ? Good(id)
            : fault == "missing" ? null
            : int.TryParse(fault, out int status) ? Failed(id, status) : Errored(id, fault));
        List<BatchResult> results = await RunAsync(3);
        Assert.Equal(Ids(3).Order(), results.Select(result => result.CustomId).Order());
        Assert.Equal(isRetried, results.Single(result => result.CustomId == "r2").Status == ResultStatus.Succeeded);
        Assert.Equal(isRetried ? [["r1", "r2", "r3"], ["r2"]] : [["r1", "r2", "r3"]], _sent);
    }

    [Fact]
    public async Task A_request_is_sent_three_times_at_most()
    {
        Serve((_, id) => id == "r1" ? Failed(id, 500) : id == "r2" ? null : Good(id));
        List<BatchResult> results = await RunAsync(3);
        Assert.Equal([["r1", "r2", "r3"], ["r1", "r2"], ["r1", "r2"]], _sent);
        Assert.Equal(ResultStatus.Failed, results.Single(result => result.CustomId == "r1").Status);
        Assert.Equal(ResultStatus.Missing, results.Single(result => result.CustomId == "r2").Status);
    }

    [Fact]
    public async Task Duplicate_and_unrequested_lines_change_nothing()
    {
        Serve((_, id) => Good(id) + Good(id) + (id == "r1" ? Good("stranger") : ""));
        Assert.Equal(Ids(3).Order(), (await RunAsync(3)).Select(result => result.CustomId).Order());
    }

    /// <summary>The lines of r2 in the output and the error file: g is an answer; 400 and 500 are failures with that status.</summary>
    [Theory]
    [InlineData("400 g", "", 1)]
    [InlineData("500 g", "", 1)]
    [InlineData("g 400", "", 1)]
    [InlineData("g", "400", 1)]
    [InlineData("400", "g", 1)]
    [InlineData("", "500 g 400", 1)]
    [InlineData("500 400", "", 0)]
    [InlineData("500", "500 g", 1)]
    public async Task A_failure_and_a_success_are_a_success(string output, string errors, int succeeded)
    {
        foreach (bool ordered in new[] { false, true })
        {
            _sent.Clear();
            string errorLines = string.Concat(errors.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(LineOf));
            Serve((_, id) => id == "r2" ? string.Concat(output.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(LineOf)) : Good(id),
                finalStatus: "\"status\":\"completed\"" + (errors.Length > 0 ? ",\"error_file_id\":\"err\"" : ""));
            _server.On("GET /v1/files/err/content", Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(errorLines)));
            using RunStore store = RunStore.Temporary();
            List<BatchResult> results = await Engine(store, 3, ordered: ordered).RunAsync().ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Equal(Ids(3), results.Select(result => result.CustomId).Order());
            BatchResult result = results.Single(result => result.CustomId == "r2");
            Assert.Equal(succeeded == 1 ? ResultStatus.Succeeded : ResultStatus.Failed, result.Status);
            Assert.Equal(succeeded == 1 ? "r2" : null, result.Text);
            Assert.Equal(succeeded == 1 ? 200 : 400, result.StatusCode);
            Assert.Single(_sent);
            _server.Reset();
        }

        static string LineOf(string word) => word == "g" ? Good("r2") : Failed("r2", int.Parse(word, System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_batch_that_failed_validation_is_not_retried_and_its_results_have_the_reason()
    {
        Serve((_, _) => null, finalStatus: """
            "status":"failed","errors":{"object":"list","data":[{"code":"invalid_request","message":"Bad line.","line":2}]}
            """);
        List<BatchResult> results = await RunAsync(3);
        Assert.Single(_sent);
        Assert.Equal(3, results.Count);
        Assert.All(results, result => Assert.Equal(ResultStatus.Failed, result.Status));
        Assert.Equal("Bad line.", results.Single(result => result.CustomId == "r2").Error?.Message);
        Assert.Equal(["batch-1"], _seen.Failed);
    }

    /// <summary>A service may fail a batch that has run. The results so far are paid for.</summary>
    [Fact]
    public async Task Results_of_a_failed_batch_are_returned()
    {
        Serve((_, id) => id == "r2" ? null : Good(id), finalStatus: """
            "status":"failed","errors":{"object":"list","data":[{"code":"file_not_found","message":"The input file is gone."}]}
            """);
        List<BatchResult> results = await RunAsync(3, ordered: true);
        Assert.Single(_sent);
        Assert.Equal([ResultStatus.Succeeded, ResultStatus.Failed, ResultStatus.Succeeded], results.Select(result => result.Status));
        Assert.Contains("The input file is gone.", results[1].Error?.Message, StringComparison.Ordinal);
        Assert.Equal(["batch-1"], _seen.Failed);
    }

    [Fact]
    public async Task Requests_without_an_answer_in_a_cancelled_batch_are_cancelled_and_not_retried()
    {
        Serve((_, id) => id == "r1" ? Good(id) : null, finalStatus: "\"status\":\"cancelled\"");
        List<BatchResult> results = await RunAsync(3, ordered: true);
        Assert.Single(_sent);
        Assert.Equal([ResultStatus.Succeeded, ResultStatus.Cancelled, ResultStatus.Cancelled], results.Select(result => result.Status));
        Assert.Equal("batch_cancelled", results[1].Error?.Code);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failed_line_with_a_later_answer_is_not_paid_for_again(bool ordered)
    {
        Serve((_, id) => id == "r2" ? Failed(id, 429) + Good(id) : Good(id));
        List<BatchResult> results = await RunAsync(3, ordered: ordered);
        Assert.Single(_sent);
        Assert.Equal(3, results.Count);
        Assert.All(results, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
    }

    /// <summary>If a batch reports a full queue after it has results, these must not be paid for again.</summary>
    [Fact]
    public async Task A_batch_with_answers_before_the_queue_was_full_keeps_them()
    {
        Serve((_, id) => id == "r3" ? null : Good(id), finalStatus: """
            "status":"failed","errors":{"data":[{"code":"token_limit_exceeded","message":"Full."}]}
            """);
        List<BatchResult> results = await RunAsync(3, ordered: true);
        Assert.Single(_sent);
        Assert.Equal([ResultStatus.Succeeded, ResultStatus.Succeeded, ResultStatus.Failed], results.Select(result => result.Status));
    }

    [Fact]
    public async Task A_part_that_cannot_be_sent_fails_only_its_own_requests()
    {
        Serve((_, id) => Good(id), upload: number => number == 2 ? Answer.Json("""{"error":{"message":"Quota is used up."}}""", 400) : null);
        List<BatchResult> results = await RunAsync(6, partSize: 2);
        Assert.Equal(Ids(6).Order(), results.Select(result => result.CustomId).Order());
        Assert.Equal(["r3", "r4"], results.Where(result => result.Status == ResultStatus.Failed).Select(result => result.CustomId));
        Assert.All(results.Where(result => result.Status == ResultStatus.Failed), result =>
            Assert.Contains("Quota is used up.", result.Error?.Message, StringComparison.Ordinal));
        Assert.Single(_seen.Problems);
    }

    [Fact]
    public async Task Results_that_cannot_be_downloaded_are_not_paid_for_twice()
    {
        Serve((_, id) => Good(id), content: Answer.Json("""{"error":{"message":"No such file."}}""", 404));
        Assert.All(await RunAsync(3), result => Assert.Equal((ResultStatus.Missing, "result_unavailable"), (result.Status, result.Error?.Code)));
        Assert.Single(_sent);
        Assert.Single(_seen.Problems);
    }

    [Fact]
    public async Task A_timeout_leaves_the_batch_open_and_names_it()
    {
        Serve((_, id) => Good(id), finalStatus: "\"status\":\"in_progress\"");
        using RunStore store = Open();
        RunEngine engine = Engine(store, 2, TimeSpan.FromSeconds(50));
        Assert.Empty(await engine.RunAsync().ToListAsync());
        Assert.Equal(["batch-1"], engine.OpenBatches);
        Assert.Equal(["batch-1"], _seen.Left);
    }

    [Theory]
    [InlineData("a page of a proxy", 3)]
    [InlineData("a clean end too early", 3)]
    public async Task Damaged_results_are_downloaded_again_and_not_paid_for_again(string fault, int count)
    {
        Behaviour broken = fault == "a page of a proxy" ? Answer.Whole(200, "text/html", "<html>\n<p>Sign in</p>"u8.ToArray())
            : Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(Good("r1")));
        int fetches = 0;
        Serve((_, id) => Good(id), finalStatus: "\"status\":\"completed\",\"request_counts\":{\"total\":3,\"completed\":3,\"failed\":0}",
            contentOf: whole => Answer.Choose(_ => ++fetches == 1 ? broken : whole));
        Assert.All(await RunAsync(count), result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Single(_sent);
        Assert.Empty(_seen.Problems);
    }

    [Fact]
    public async Task Results_that_stay_damaged_stay_at_the_service()
    {
        Serve((_, id) => Good(id), content: Answer.Whole(200, "text/html", "<html></html>"u8.ToArray()));
        Assert.Equal(3, (await RunAsync(3)).Count(result => result.Status == ResultStatus.Missing));
        Assert.Single(_sent);
        Assert.Contains("Get-BatchResult -Id 'batch-1'", Assert.Single(_seen.Problems).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_counts_do_not_hide_results()
    {
        Serve((_, id) => Good(id), finalStatus: "\"status\":\"completed\",\"request_counts\":{\"total\":9,\"completed\":9,\"failed\":0}");
        Assert.Equal(3, (await RunAsync(3)).Count);
    }

    [Fact]
    public async Task Equal_bodies_are_sent_once_and_every_row_gets_the_answer()
    {
        Serve((attempt, id) => id == "r2" && attempt == 1 ? Failed(id, 500) : Good(id));
        List<BatchResult> results = await RunAsync(9, ordered: true, deduplicate: true, model: id => id is "r1" or "r2" or "r3" ? id : (id[1] - '0') % 2 == 0 ? "r2" : "r3");
        Assert.Equal([["r1", "r2", "r3"], ["r2"]], _sent);
        Assert.Equal(Ids(9), results.Select(result => result.CustomId));
        Assert.Equal(Ids(9).Select(id => "object " + id), results.Select(result => result.InputObject));
        Assert.Equal("r1 r2 r3 r2 r3 r2 r3 r2 r3".Split(' '), results.Select(result => result.Text));
        Assert.All(results, result => Assert.Equal(result.CustomId, result.Request!.CustomId));
    }

    [Fact]
    public async Task A_run_waits_for_a_full_queue_and_uses_the_same_file_again()
    {
        int creates = 0;
        int uploads = 0;
        _server.On("POST /v1/files", Answer.Choose(_ => Answer.Json($$"""{"id":"file-{{++uploads}}"}""")));
        _server.On("POST /v1/batches", Answer.Choose(_ => Answer.Json(++creates == 1 ? """{"id":"full","status":"validating"}""" : """{"id":"b2","status":"validating"}""")));
        _server.On("GET /v1/batches/full", Answer.Json("""{"id":"full","status":"failed","errors":{"data":[{"code":"token_limit_exceeded","message":"Enqueued token limit reached for m"}]}}"""));
        _server.On("GET /v1/batches/b2", Answer.Json("""{"id":"b2","status":"completed","output_file_id":"o2"}"""));
        _server.On("GET /v1/files/o2/content", Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(Good("r1") + Good("r2"))));
        Assert.All(await RunAsync(2), result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal((1, 2), (uploads, creates));
        Assert.Empty(_seen.Failed);
    }

    /// <summary>A service that accepts files and batches, and creates each result line with a function.</summary>
    /// <param name="answer">Returns the result line or lines of a request by the number of its attempt; null for none.</param>
    private void Serve(
        Func<int, string, string?> answer, bool reverse = false, string finalStatus = "\"status\":\"completed\"", Behaviour? content = null,
        Func<int, Behaviour?>? upload = null, Func<Behaviour, Behaviour>? contentOf = null)
    {
        int uploads = 0;
        var tries = new Dictionary<string, int>();
        _server.On("POST /v1/files", Answer.Choose(exchange =>
        {
            if (upload?.Invoke(++uploads) is { } refusal)
            {
                return refusal;
            }

            _sent.Add([.. exchange.BodyText.Split('\n').Where(line => line.StartsWith("{\"custom_id\"", StringComparison.Ordinal))
                .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()!)]);
            return Answer.Json($$"""{"id":"file-{{_sent.Count}}"}""");
        }));
        _server.On("POST /v1/batches", Answer.Choose(exchange =>
        {
            int number = int.Parse(exchange.BodyText.Split("\"file-")[1].Split('"')[0], System.Globalization.CultureInfo.InvariantCulture);
            List<string> ids = _sent[number - 1];
            var lines = new StringBuilder();
            foreach (string id in reverse ? ids.AsEnumerable().Reverse() : ids)
            {
                lines.Append(answer(tries[id] = tries.GetValueOrDefault(id) + 1, id));
            }

            _server.On($"GET /v1/batches/batch-{number}", Answer.Json("{\"id\":\"batch-" + number + "\",\"output_file_id\":\"out-" + number + "\"," + finalStatus.Trim() + "}"));
            _server.On($"GET /v1/files/out-{number}/content", content ?? (contentOf ?? (whole => whole))(Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(lines.ToString()))));
            return Answer.Json($$"""{"id":"batch-{{number}}","status":"validating"}""");
        }));
    }

    private async Task<List<BatchResult>> RunAsync(int count, int partSize = 100, bool ordered = false, bool deduplicate = false, Func<string, string>? model = null)
    {
        using RunStore store = Open();
        return await Engine(store, count, null, partSize, ordered, deduplicate, model).RunAsync().ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>The service still has the results, so missing or truncated files of a finished run are downloaded and not paid for again.</summary>
    [Theory]
    [InlineData("deleted")]
    [InlineData("cut at a line's end")]
    [InlineData("cut inside a line")]
    public async Task Damaged_results_on_disk_are_downloaded_again(string damage)
    {
        Serve((_, id) => Good(id));
        await RunAsync(3);
        string path = Path.Combine(_folder, "part.output.jsonl");
        if (damage == "deleted")
        {
            File.Delete(path);
        }
        else
        {
            using FileStream file = File.OpenWrite(path);
            file.SetLength(damage == "cut inside a line" ? file.Length - 5 : file.Length / 3);
        }

        List<BatchResult> results = await RunAsync(3);
        Assert.Equal(Ids(3).Order(), results.Select(result => result.CustomId).Order());
        Assert.All(results, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Single(_sent);
    }

    private RunStore Open()
    {
        RunStore store = RunStore.Open(_folder);
        store.Begin(_server.BaseUri);
        return store;
    }

    private RunEngine Engine(
        RunStore store, int count, TimeSpan? timeout = null, int partSize = 100, bool ordered = false, bool deduplicate = false, Func<string, string>? model = null)
    {
        using var input = new RunInput(store, partSize, 1_000_000, deduplicate);
        foreach (string id in Ids(count))
        {
            input.Add(new BatchRequest
            {
                CustomId = id,
                Url = "/v1/chat/completions",
                InputObject = "object " + id,
                BodyUtf8 = Encoding.UTF8.GetBytes($$"""{"model":"{{model?.Invoke(id) ?? "m" + id}}"}"""),
            });
        }

        return new RunEngine(Clients.For(_server, _time), store, input.Complete(), new RunOptions { Ordered = ordered, Timeout = timeout }, _seen);
    }

    private static IEnumerable<string> Ids(int count) => Enumerable.Range(1, count).Select(i => $"r{i}");

    private static string Good(string id) => Line(id, """{"status_code":200,"body":{"choices":[{"message":{"content":"ID"}}]}}""", "null");

    private static string Failed(string id, int status) => Line(id, "{\"status_code\":" + status + ",\"body\":{\"error\":{\"message\":\"m\"}}}", "null");

    private static string Errored(string id, string code) => Line(id, "null", "{\"code\":\"" + code + "\",\"message\":\"m\"}");

    private static string Line(string id, string response, string error) =>
        ("{\"id\":\"x\",\"custom_id\":\"ID\",\"response\":" + response + ",\"error\":" + error + "}\n").Replace("ID", id, StringComparison.Ordinal);

    private sealed class Recorder : RunObserver
    {
        public List<string> Failed { get; } = [];

        public List<string> Left { get; } = [];

        public List<Exception> Problems { get; } = [];

        public override void OnBatchFailed(Batch batch) => Failed.Add(batch.Id);

        public override void OnWaitEnded(string batchId, ServiceException? reason, ServiceException? lastFailure) => Left.Add(batchId);

        public override void OnProblem(Exception problem) => Problems.Add(problem);
    }
}
