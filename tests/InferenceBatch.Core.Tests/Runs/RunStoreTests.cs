using System.Globalization;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>A run with a checkpoint can be interrupted anywhere and resumed, and nothing is paid for twice.</summary>
public sealed class RunStoreTests : IDisposable
{
    private const int Count = 7;
    private const int PartSize = 3;

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("store-").FullName;
    private readonly List<List<string>> _files = [];
    private readonly List<int> _batches = [];
    private Action _onCall = () => { };

    public RunStoreTests() => Serve();

    public void Dispose()
    {
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_run_interrupted_at_any_call_is_resumed()
    {
        int calls = 0;
        _onCall = () => calls++;
        Assert.Equal(Count, (await RunAsync(CancellationToken.None)).Count);
        Assert.InRange(calls, 10, 200);
        for (int breakAt = 1; breakAt <= calls; breakAt++)
        {
            foreach (string file in Directory.GetFiles(_folder))
            {
                File.Delete(file);
            }

            _batches.Clear();
            using var broken = new CancellationTokenSource();
            int call = 0;
            _onCall = () =>
            {
                if (Interlocked.Increment(ref call) == breakAt)
                {
                    broken.Cancel();
                }
            };
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RunAsync(broken.Token));
            _onCall = () => { };
            List<BatchResult> results = await RunAsync(CancellationToken.None);

            Assert.Equal(Ids.Order(), results.Select(result => result.CustomId).Order());
            Assert.All(results, result => Assert.Equal((result.CustomId, "object " + result.CustomId), (result.Text, result.InputObject)));
            // Three parts, and one more for the line that failed at the first attempt.
            Assert.True(_batches.Count == 4, $"broken off at call {breakAt}: {_batches.Count} batches were created");
            Assert.Equal(_batches.Distinct(), _batches);
            Assert.Equal(Count + 1, _batches.Sum(file => _files[file - 1].Count));
        }
    }

    [Fact]
    public async Task A_finished_run_returns_all_results_again_without_a_call()
    {
        List<BatchResult> first = await RunAsync(CancellationToken.None);
        int calls = 0;
        _onCall = () => calls++;
        List<BatchResult> again = await RunAsync(CancellationToken.None);
        Assert.Equal(0, calls);
        Assert.Equal(
            first.Select(result => (result.CustomId, result.Status, result.Text)).Order(), again.Select(result => (result.CustomId, result.Status, result.Text)).Order());
    }

    [Theory]
    [InlineData("more", "r8")]
    [InlineData("fewer", "r7")]
    [InlineData("other id", "other")]
    [InlineData("other body", "Request 4")]
    [InlineData("other address", "127.0.0.1:1")]
    public async Task Another_input_is_refused_before_anything_is_sent(string difference, string named)
    {
        await RunAsync(CancellationToken.None);
        int calls = 0;
        _onCall = () => calls++;
        RunMismatchException problem = await Assert.ThrowsAsync<RunMismatchException>(() => RunAsync(
            CancellationToken.None,
            difference switch
            {
                "more" => Requests(Ids.Append("r8")),
                "fewer" => Requests(Ids.Take(6)),
                "other id" => Requests(Ids.Select(id => id == "r3" ? "other" : id)),
                "other body" => Requests(Ids, id => id == "r4" ? "another" : id),
                _ => Requests(Ids),
            },
            difference == "other address" ? new Uri("http://127.0.0.1:1/v1") : null));
        Assert.Contains(named, problem.Message, StringComparison.Ordinal);
        Assert.Equal(0, calls);
    }

    [Fact]
    public void A_checkpoint_allows_one_process_at_a_time()
    {
        using RunStore store = RunStore.Open(_folder);
        Assert.Throws<RunStoreInUseException>(() => RunStore.Open(_folder));
    }

    [Fact]
    public void A_folder_with_other_files_is_not_changed()
    {
        // Without a journal, a file with the name of a run's file belongs to the user.
        string file = Path.Combine(_folder, "part.jsonl");
        File.WriteAllText(file, "text");
        Assert.Throws<RunMismatchException>(() => RunStore.Open(_folder));
        Assert.Equal("text", File.ReadAllText(file));
    }

    [Fact]
    public async Task A_torn_last_line_of_the_journal_is_ignored()
    {
        await RunAsync(CancellationToken.None);
        string journal = Path.Combine(_folder, "journal.jsonl");
        byte[] whole = File.ReadAllBytes(journal);
        File.WriteAllBytes(journal, whole[..^7]);
        Assert.Equal(Count, (await RunAsync(CancellationToken.None)).Count);
        Assert.Equal(4, _batches.Count);
        Assert.Equal(whole, File.ReadAllBytes(journal));
    }

    /// <summary>A folder without a started run belongs to the user, and its files are not changed.</summary>
    [Theory]
    [InlineData("dear diary", "thesis.txt")]
    [InlineData("", "thesis.txt")]
    [InlineData("dear diary", null)]
    [InlineData("{\"step\":\"Beg", "part.output.jsonl")]
    public void Foreign_files_in_the_folder_are_not_changed(string journal, string? other)
    {
        string path = Path.Combine(_folder, "journal.jsonl");
        File.WriteAllText(path, journal);
        if (other is not null)
        {
            File.WriteAllText(Path.Combine(_folder, other), "precious");
        }

        Assert.Throws<RunMismatchException>(() => RunStore.Open(_folder));
        Assert.Equal(journal, File.ReadAllText(path));
        Assert.Equal(other is null ? 1 : 2, Directory.GetFiles(_folder).Length);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"step\":\"Beg")]
    [InlineData("{\"step\":\"Began\",\"address\":\"http://12")]
    public async Task A_run_killed_at_its_start_starts_again(string journal)
    {
        File.WriteAllText(Path.Combine(_folder, "journal.jsonl"), journal);
        File.WriteAllText(Path.Combine(_folder, ".part.jsonl.abcd1234-001.tmp"), "half");
        Serve();
        Assert.Equal(Count, (await RunAsync(CancellationToken.None)).Count);
        Assert.DoesNotContain(Directory.GetFiles(_folder), path => path.EndsWith(".tmp", StringComparison.Ordinal));
    }

    [Fact]
    public void An_invalid_journal_is_reported()
    {
        File.WriteAllText(Path.Combine(_folder, "journal.jsonl"), "{\"step\":\"nonsense\"}\n");
        Assert.Contains("Line 1", Assert.Throws<RunMismatchException>(() => RunStore.Open(_folder)).Message, StringComparison.Ordinal);
    }

    private static string[] Ids => [.. Enumerable.Range(1, Count).Select(i => $"r{i}")];

    private static IEnumerable<BatchRequest> Requests(IEnumerable<string> ids, Func<string, string>? text = null) => ids.Select(id => new BatchRequest
    {
        CustomId = id,
        Url = "/v1/chat/completions",
        BodyUtf8 = JsonSerializer.SerializeToUtf8Bytes(new { model = "m", messages = new[] { new { role = "user", content = text?.Invoke(id) ?? id } } }),
        InputObject = "object " + id,
    });

    private async Task<List<BatchResult>> RunAsync(CancellationToken cancellationToken, IEnumerable<BatchRequest>? requests = null, Uri? address = null)
    {
        using RunStore store = RunStore.Open(_folder);
        store.Begin(address ?? _server.BaseUri);
        using var input = new RunInput(store, PartSize, 1_000_000, deduplicate: false);
        foreach (BatchRequest request in requests ?? Requests(Ids))
        {
            input.Add(request);
        }

        using RunRequests all = input.Complete();
        var engine = new RunEngine(Clients.For(_server, _time), store, all, new RunOptions(), new RunObserver());
        return await engine.RunAsync(cancellationToken).ToListAsync(cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None);
    }

    /// <summary>A service that performs each call before the client gets a response. r5 fails at the first attempt.</summary>
    private void Serve()
    {
        _server.On("POST /v1/files", Answer.Choose(exchange =>
        {
            _files.Add([.. exchange.BodyText.Split('\n').Where(line => line.StartsWith("{\"custom_id\"", StringComparison.Ordinal))
                .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()!)]);
            _onCall();
            return Answer.Json($$"""{"id":"file-{{_files.Count}}"}""");
        }));
        _server.On("POST /v1/batches", Answer.Choose(exchange =>
        {
            int file = int.Parse(exchange.BodyText.Split("\"file-")[1].Split('"')[0], CultureInfo.InvariantCulture);
            bool isRetry = _batches.Any(batch => _files[batch - 1].Contains("r5"));
            _batches.Add(file);
            var lines = new StringBuilder();
            foreach (string id in _files[file - 1])
            {
                lines.Append(id == "r5" && !isRetry
                    ? "{\"custom_id\":\"r5\",\"response\":{\"status_code\":500,\"body\":{\"error\":{\"message\":\"m\"}}},\"error\":null}\n"
                    : Good(id));
            }

            _server.On($"GET /v1/batches/batch-{file}", Called(Answer.Json(
                $$"""{"id":"batch-{{file}}","status":"completed","input_file_id":"file-{{file}}","output_file_id":"out-{{file}}"}""")));
            _server.On($"GET /v1/files/out-{file}/content", Called(Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(lines.ToString()))));
            _onCall();
            return Answer.Json($$"""{"id":"batch-{{file}}","status":"validating","input_file_id":"file-{{file}}"}""");
        }));
        _server.On("GET /v1/batches", Answer.Choose(_ => Answer.Json(
            "{\"data\":[" + string.Join(',', _batches.Select(file => $$"""{"id":"batch-{{file}}","status":"in_progress","input_file_id":"file-{{file}}"}""")) + "],\"has_more\":false}")));
    }

    private static string Good(string id) =>
        "{\"custom_id\":\"ID\",\"response\":{\"status_code\":200,\"body\":{\"choices\":[{\"message\":{\"content\":\"ID\"}}]}},\"error\":null}\n".Replace("ID", id, StringComparison.Ordinal);

    private Behaviour Called(Behaviour answer) => Answer.Choose(_ =>
    {
        _onCall();
        return answer;
    });
}
