using System.Diagnostics;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The input of <c>inference-batch run</c>: invalid files, and files that change.</summary>
public sealed class RunInputTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Run_exits_with_2_and_reports_every_invalid_line()
    {
        string input = _folder.File("in.jsonl", $"{Requests.Chat("a", "1")}\n{{\n{Requests.Chat("a", "2")}\n");
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input]);
        Assert.Equal(2, exitCode);
        Assert.Contains("line 2: invalid_json_line", errors, StringComparison.Ordinal);
        Assert.Contains("line 3: duplicate_custom_id", errors, StringComparison.Ordinal);
        Assert.Equal([input], Directory.GetFiles(_folder.Path));
    }

    [Theory]
    [InlineData("/v1/chat/completions", "/v1/chat/completions", "chat.completion")]
    [InlineData("/chat/completions", "/v1/chat/completions", "chat.completion")]
    [InlineData("/v1/chat/completions", "/chat/completions", "chat.completion")]
    [InlineData("/completions", "/completions", "text_completion")]
    [InlineData("/embeddings", "/v1/embeddings", "list")]
    [InlineData(null, "/embeddings", "list")]
    [InlineData(null, "/responses", "response")]
    public async Task The_endpoint_may_omit_the_version(string? endpoint, string url, string kind)
    {
        string line = $$$"""{"custom_id":"a","method":"POST","url":"{{{url}}}","body":{"model":"m","input":"x","prompt":"x","messages":[{"role":"user","content":"x"}]}}""";
        string input = _folder.File("in.jsonl", line + "\n");
        string[] options = endpoint is null ? [] : ["--endpoint", endpoint];
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input, .. options]);
        Assert.True(exitCode == 0, errors);
        Assert.Contains($"\"object\":\"{kind}\"", await File.ReadAllTextAsync(_folder.File("in.output.jsonl")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("chat/completions")]
    [InlineData("/v1/v1/chat/completions")]
    [InlineData("/v1")]
    public async Task An_unknown_endpoint_is_refused(string endpoint)
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl", Requests.File(1)), "--endpoint", endpoint]);
        Assert.Equal(2, exitCode);
        Assert.Contains($"'{endpoint}' is not a known endpoint", errors, StringComparison.Ordinal);
    }

    /// <summary>There is no limit on the number of reported problems.</summary>
    [Fact]
    public async Task Run_reports_all_invalid_lines()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl", string.Concat(Enumerable.Repeat("{\n", 3000)))]);
        Assert.Equal(2, exitCode);
        string[] lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3000, lines.Length);
        Assert.Contains("in.jsonl: line 3000: invalid_json_line", lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_reports_a_missing_input_and_a_folder()
    {
        foreach ((string path, string said) in new[] { (_folder.File("none.jsonl"), "does not exist"), (_folder.Path, "folder") })
        {
            (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", path]);
            Assert.Equal(2, exitCode);
            Assert.Contains(said, errors, StringComparison.Ordinal);
        }
    }

    /// <summary>Opening a pipe without a writer blocks, and signals do not end it.</summary>
    [Fact]
    public async Task Run_refuses_an_input_that_cannot_be_read_twice()
    {
        using Process made = Process.Start("mkfifo", _folder.File("pipe"));
        await made.WaitForExitAsync();
        File.CreateSymbolicLink(_folder.File("link"), _folder.File("pipe"));
        foreach (string path in new[] { _folder.File("pipe"), _folder.File("link"), "/dev/zero", "/dev/stdin", _folder.File("empty.jsonl", "") })
        {
            (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", path]);
            Assert.Equal(2, exitCode);
            Assert.Contains("is empty, or a pipe or device", errors, StringComparison.Ordinal);
        }
    }

    /// <summary>A line may be as long as the file, so reading it may take long.</summary>
    [Fact]
    public async Task Run_stops_on_sigterm_within_an_endless_line()
    {
        using ServerProcess run = ServerProcess.Start(["run", SparseFile()]);
        using Process started = Process.GetProcessById(run.Id);
        while (started.TotalProcessorTime < TimeSpan.FromSeconds(1.5))
        {
            await Task.Delay(20);
            started.Refresh();
        }

        Assert.Equal(130, await run.TerminateAsync());
    }

    [Fact]
    public async Task Run_refuses_results_of_another_input()
    {
        string output = _folder.File("out.jsonl");
        string errors = _folder.File("err.jsonl");
        await ServerProcess.RunAsync(["run", _folder.File("a.jsonl", Requests.File(2)), "--output", output, "--errors", errors]);
        (int exitCode, _, string said) = await ServerProcess.RunAsync(["run", _folder.File("b.jsonl", Requests.File(3)), "--output", output, "--errors", errors]);
        Assert.Equal(2, exitCode);
        Assert.Contains("another input", said, StringComparison.Ordinal);
        Assert.Equal(2, (await File.ReadAllLinesAsync(output)).Length);
    }

    [Fact]
    public async Task Run_does_not_resume_with_a_changed_input()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 3" ? call.StallAsync() : call.OkAsync());
        string input = _folder.File("in.jsonl", Requests.File(3));
        string partial = _folder.File("in.output.jsonl.partial");
        using (ServerProcess run = ServerProcess.Start(["run", input, "--upstream", upstream.Address]))
        {
            await UntilAsync(() => File.Exists(partial) && File.ReadAllLines(partial).Length >= 2);
            await run.KillAsync();
        }

        string before = await File.ReadAllTextAsync(partial);
        await File.WriteAllTextAsync(input, Requests.File(4));
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input]);
        Assert.Equal(2, exitCode);
        Assert.Contains("another input", errors, StringComparison.Ordinal);
        Assert.Contains("--output", errors, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(partial));
    }

    /// <summary>If the results may belong to other lines than those in the file, they do not become its result files.</summary>
    [Fact]
    public async Task Run_notices_a_change_of_the_input_during_the_run()
    {
        string input = _folder.File("in.jsonl", Requests.File(3));
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await File.AppendAllTextAsync(input, "\n");
            await call.OkAsync();
        });
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input, "--upstream", upstream.Address, "--concurrency", "1"]);
        Assert.Equal(2, exitCode);
        Assert.Contains("was changed while its lines were processed", errors, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("in.output.jsonl")));
        Assert.Equal(3, (await File.ReadAllLinesAsync(_folder.File("in.output.jsonl.partial"))).Length);
    }

    [Fact]
    public async Task Run_notices_a_change_behind_a_symbolic_link()
    {
        string target = _folder.File("target.jsonl", Requests.File(3));
        string input = _folder.File("in.jsonl");
        File.CreateSymbolicLink(input, target);
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await File.AppendAllTextAsync(target, "\n");
            await call.OkAsync();
        });
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input, "--upstream", upstream.Address, "--concurrency", "1"]);
        Assert.Equal(2, exitCode);
        Assert.Contains("was changed while its lines were processed", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_accepts_an_input_whose_time_changes()
    {
        string input = _folder.File("in.jsonl", Requests.File(2));
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            File.SetLastWriteTimeUtc(input, DateTime.UtcNow.AddMinutes(1));
            await call.OkAsync();
        });
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input, "--upstream", upstream.Address]);
        Assert.True(exitCode == 0, errors);
    }

    private string SparseFile()
    {
        using FileStream file = File.Create(_folder.File("sparse.jsonl"));
        file.SetLength(1L << 40);
        return file.Name;
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!isSo())
        {
            await Task.Delay(5, patience.Token);
        }
    }
}
