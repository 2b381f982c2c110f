using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The files that <c>inference-batch run</c> reads, writes and locks, and files of others with these names.</summary>
public sealed class RunFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("in.lock", "in", "err")]
    [InlineData("in.lock", "out", "in")]
    [InlineData("in.partial", "in", "err")]
    [InlineData("in.partial.mended", "in", "err")]
    [InlineData("in", "out", "out.lock")]
    [InlineData("in", "out", "out.partial")]
    public async Task Conflicting_file_names_are_refused(string input, string output, string errors)
    {
        string requests = Requests.File(2);
        _folder.File(input, requests);
        await AssertRefusedAsync("three different files", input, output, errors);
        Assert.Equal(requests, await File.ReadAllTextAsync(_folder.File(input)));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Theory]
    [InlineData("out.lock")]
    [InlineData("err.lock")]
    public async Task A_lock_file_with_contents_is_refused_and_an_empty_one_is_used(string name)
    {
        _folder.File("in", Requests.File(2));
        _folder.File(name, "mine");
        await AssertRefusedAsync(name, "in", "out", "err");
        Assert.Equal("mine", await File.ReadAllTextAsync(_folder.File(name)));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);

        _folder.File(name, "");
        Assert.Equal(0, (await RunAsync("in", "out", "err")).ExitCode);
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);
    }

    [Theory]
    [InlineData("other", "err")]
    [InlineData("out", "other")]
    [InlineData("err", "out")]
    public async Task Two_runs_cannot_share_a_file(string output, string errors)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        using ServerProcess run = ServerProcess.Start(Command(_folder.File("in", Requests.File(2)), "out", "err", upstream.Address));
        while (upstream.AtOnce < 2)
        {
            await Task.Delay(5);
        }

        string[] before = Directory.GetFiles(_folder.Path);
        _folder.File("second", Requests.File(3));
        await AssertRefusedAsync("Another inference-batch", "second", output, errors);
        Assert.Equal(before.Append(_folder.File("second")).Order(), Directory.GetFiles(_folder.Path).Order());
        await run.KillAsync();
    }

    [Fact]
    public async Task A_result_file_beside_its_partial_file_is_refused_before_anything_is_sent()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.OkAsync());
        _folder.File("in", Requests.File(2));
        _folder.File("out", "mine");
        _folder.File("out.partial", "");
        await AssertRefusedAsync("Both", "in", "out", "err", upstream.Address);
        Assert.Empty(upstream.Attempts);
        Assert.Equal("mine", await File.ReadAllTextAsync(_folder.File("out")));
    }

    [Fact]
    public async Task Results_are_kept_in_the_partial_file_if_their_name_was_taken_during_the_run()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call =>
        {
            _folder.File("out", "mine");
            return call.OkAsync();
        });
        _folder.File("in", Requests.File(2));
        await AssertRefusedAsync("the results are in '" + _folder.File("out.partial"), "in", "out", "err", upstream.Address);
        Assert.Equal("mine", await File.ReadAllTextAsync(_folder.File("out")));

        File.Delete(_folder.File("out"));
        Assert.Equal(0, (await RunAsync("in", "out", "err", upstream.Address)).ExitCode);
        Assert.Equal(2, (await File.ReadAllLinesAsync(_folder.File("out"))).Length);
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
    }

    [Theory]
    [InlineData("my notes\n")]
    [InlineData("\nmy notes")]
    public async Task Text_after_complete_results_is_not_deleted(string notes)
    {
        _folder.File("in", Requests.File(2));
        Assert.Equal(0, (await RunAsync("in", "out", "err")).ExitCode);
        await File.AppendAllTextAsync(_folder.File("out"), notes);
        string before = await File.ReadAllTextAsync(_folder.File("out"));
        await AssertRefusedAsync("is not a result", "in", "out", "err");
        Assert.Equal(before, await File.ReadAllTextAsync(_folder.File("out")));
    }

    [Theory]
    [InlineData("one.jsonl", "one.errors.jsonl")]
    [InlineData("one.JSONL", "one.errors.jsonl")]
    [InlineData("one", "one.errors.jsonl")]
    [InlineData("one.json", "one.json.errors.jsonl")]
    [InlineData(null, "in.errors.jsonl")]
    public async Task The_errors_file_is_written_beside_the_output(string? output, string errors)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(400, """{"error":{"message":"bad"}}"""));
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(2)), "--upstream", upstream.Address];
        (int exitCode, string said, _) = await ServerProcess.RunAsync(output is null ? command : [.. command, "--output", _folder.File(output)]);
        Assert.Equal(1, exitCode);
        Assert.Contains($"errors: {_folder.File(errors)}", said, StringComparison.Ordinal);
        Assert.Equal(2, (await File.ReadAllLinesAsync(_folder.File(errors))).Length);
    }

    [Fact]
    public async Task Two_outputs_of_one_input_have_separate_errors_files()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(400, """{"error":{"message":"bad"}}"""));
        foreach (string output in new[] { "one", "two" })
        {
            string[] command = ["run", _folder.File("in.jsonl", Requests.File(2)), "--upstream", upstream.Address, "--output", _folder.File(output + ".jsonl")];
            Assert.Equal(1, (await ServerProcess.RunAsync(command)).ExitCode);
            Assert.Equal(2, (await File.ReadAllLinesAsync(_folder.File(output + ".errors.jsonl"))).Length);
        }

        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(2, attempts));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".partial")]
    public async Task A_run_with_its_errors_file_beside_the_input_resumes_there(string end)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(400, """{"error":{"message":"bad"}}"""));
        string input = _folder.File("in.jsonl", Requests.File(2));
        Assert.Equal(1, (await RunAsync("in.jsonl", "out.jsonl", "in.errors.jsonl", upstream.Address)).ExitCode);
        foreach (string name in new[] { "out.jsonl", "in.errors.jsonl" }.Where(_ => end.Length > 0))
        {
            File.Move(_folder.File(name), _folder.File(name + end));
        }

        (int exitCode, string said, _) = await ServerProcess.RunAsync(["run", input, "--upstream", upstream.Address, "--output", _folder.File("out.jsonl")]);
        Assert.Equal(1, exitCode);
        Assert.Contains($"errors: {_folder.File("in.errors.jsonl")}", said, StringComparison.Ordinal);
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
        Assert.False(File.Exists(_folder.File("out.errors.jsonl")));
    }

    private async Task AssertRefusedAsync(string said, string input, string output, string errors, string upstream = "echo")
    {
        (int exitCode, string problem) = await RunAsync(input, output, errors, upstream);
        Assert.Equal(2, exitCode);
        Assert.Contains(said, Assert.Single(problem.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    private async Task<(int ExitCode, string Errors)> RunAsync(string input, string output, string errors, string upstream = "echo")
    {
        (int exitCode, _, string said) = await ServerProcess.RunAsync(Command(_folder.File(input), output, errors, upstream));
        return (exitCode, said);
    }

    private string[] Command(string input, string output, string errors, string upstream) =>
        ["run", input, "--output", _folder.File(output), "--errors", _folder.File(errors), "--upstream", upstream];
}
