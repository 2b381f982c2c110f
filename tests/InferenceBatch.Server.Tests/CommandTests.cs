using System.Globalization;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The command line, as a process.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Serve_listens_where_it_says_and_stops_on_sigterm()
    {
        using ServerProcess server = await ServerProcess.ServeAsync(_folder.Path);
        using var api = new ApiCaller(server.Address);
        Assert.Equal("ready", (await api.GetAsync("/healthz")).GetProperty("status").GetString());
        Assert.Equal(0, await server.TerminateAsync());
    }

    [Fact]
    public async Task A_second_process_is_kept_out_of_the_data_folder()
    {
        using ServerProcess server = await ServerProcess.ServeAsync(_folder.Path);
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path]);
        Assert.Equal(2, exitCode);
        Assert.Contains($"process {server.Id}", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_in_use_is_said()
    {
        using ServerProcess server = await ServerProcess.ServeAsync(_folder.Path);
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["serve", "--urls", server.Address.GetLeftPart(UriPartial.Authority), "--data", _folder.File("other")]);
        Assert.Equal(2, exitCode);
        Assert.Contains(server.Address.Port.ToString(CultureInfo.InvariantCulture), errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--urls", "http://0.0.0.0:0", "needs an API key")]
    [InlineData("--urls", "http://*:0", "needs an API key")]
    [InlineData("--urls", "http://[::]:0", "needs an API key")]
    [InlineData("--urls", "http://127.0.0.1:0;http://192.0.2.1:0", "needs an API key")]
    [InlineData("--urls", "ftp://127.0.0.1:0", "http://")]
    [InlineData("--upstream", "nonsense", "'nonsense'")]
    [InlineData("--upstream", "echo?speed=1", "'speed'")]
    [InlineData("--concurrency", "0", "'0'")]
    [InlineData("--completion-window", "soon", "'soon'")]
    [InlineData("--api-key-env", "NO_SUCH_VARIABLE_HERE", "NO_SUCH_VARIABLE_HERE")]
    [InlineData("--bogus", "1", "--bogus")]
    public async Task Wrong_options_are_2_and_said(string option, string value, string said)
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["serve", "--data", _folder.Path, option, value]);
        Assert.Equal(2, exitCode);
        Assert.Contains(said, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_come_from_the_environment_too()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["serve", "--data", _folder.Path], ("INFERENCE_BATCH_COMPLETION_WINDOW", "soon"), ("INFERENCE_BATCH_MAX_ATTEMPTS", "many"));
        Assert.Equal(2, exitCode);
        Assert.Contains("'soon'", errors, StringComparison.Ordinal);
        Assert.Contains("'many'", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_of_the_environment_are_asked_for()
    {
        using ServerProcess server = ServerProcess.Start(
            ["serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path, "--api-key-env", "TEST_KEYS"], ("TEST_KEYS", "one, two"));
        await server.ReadyAsync();
        using var none = new ApiCaller(server.Address);
        await none.GetAsync("batches", 401);
        using var two = new ApiCaller(server.Address, "two");
        await two.GetAsync("batches");
    }

    [Fact]
    public async Task Run_makes_two_files_and_says_so_again()
    {
        string input = _folder.File("in.jsonl", Requests.File(5));
        (int exitCode, string output, _) = await ServerProcess.RunAsync(["run", input]);
        Assert.Equal(0, exitCode);
        Assert.Contains("5 succeeded, 0 failed", output, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(_folder.File("in.output.jsonl"));
        Assert.Equal(
            ["r-1", "r-2", "r-3", "r-4", "r-5"],
            lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()!).Order());
        Assert.Empty(await File.ReadAllTextAsync(_folder.File("in.errors.jsonl")));
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);

        (exitCode, output, _) = await ServerProcess.RunAsync(["run", input]);
        Assert.Equal(0, exitCode);
        Assert.Contains("5 succeeded, 0 failed", output, StringComparison.Ordinal);
        Assert.Equal(lines, await File.ReadAllLinesAsync(_folder.File("in.output.jsonl")));
    }

    [Fact]
    public async Task Run_ends_with_1_when_lines_failed()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 2" ? call.AnswerAsync(400, "{}") : call.OkAsync());
        string output = _folder.File("out.jsonl");
        string errors = _folder.File("err.jsonl");
        (int exitCode, string said, _) = await ServerProcess.RunAsync(
            ["run", _folder.File("in.jsonl", Requests.File(3)), "--upstream", upstream.Address, "--output", output, "--errors", errors]);
        Assert.Equal(1, exitCode);
        Assert.Contains("2 succeeded, 1 failed", said, StringComparison.Ordinal);
        Assert.Equal(2, (await File.ReadAllLinesAsync(output)).Length);
        Assert.Equal("r-2", JsonDocument.Parse((await File.ReadAllLinesAsync(errors)).Single()).RootElement.GetProperty("custom_id").GetString());
    }

    [Fact]
    public async Task Run_ends_with_2_and_names_every_bad_line()
    {
        string input = _folder.File("in.jsonl", $"{Requests.Chat("a", "1")}\n{{\n{Requests.Chat("a", "2")}\n");
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input]);
        Assert.Equal(2, exitCode);
        Assert.Contains("line 2: invalid_json_line", errors, StringComparison.Ordinal);
        Assert.Contains("line 3: duplicate_custom_id", errors, StringComparison.Ordinal);
        Assert.Equal([input], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public async Task Run_says_what_is_wrong_with_the_input()
    {
        foreach ((string path, string said) in new[] { (_folder.File("none.jsonl"), "no file"), (_folder.Path, "folder") })
        {
            (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", path]);
            Assert.Equal(2, exitCode);
            Assert.Contains(said, errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Run_goes_on_after_a_kill()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await Task.Delay(10);
            await call.OkAsync();
        });
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(200)), "--upstream", upstream.Address, "--concurrency", "4"];
        using (ServerProcess run = ServerProcess.Start(command))
        {
            while (upstream.Attempts.Count < 60)
            {
                await Task.Delay(5);
            }

            await run.KillAsync();
        }

        (int exitCode, _, string errors) = await ServerProcess.RunAsync(command);
        Assert.Equal(0, exitCode);
        Assert.Contains("done already", errors, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(_folder.File("in.output.jsonl"));
        Assert.Equal(200, lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()).Distinct().Count());
        Assert.Equal(200, lines.Length);
        Assert.InRange(upstream.Attempts.Values.Sum() - 200, 0, 4);
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact]
    public async Task Run_stops_on_sigterm_and_goes_on()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await Task.Delay(10);
            await call.OkAsync();
        });
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(200)), "--upstream", upstream.Address, "--concurrency", "4"];
        using (ServerProcess run = ServerProcess.Start(command))
        {
            while (upstream.Attempts.Count < 60)
            {
                await Task.Delay(5);
            }

            Assert.Equal(130, await run.TerminateAsync());
        }

        (int exitCode, _, _) = await ServerProcess.RunAsync(command);
        Assert.Equal(0, exitCode);
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
        Assert.Equal(200, upstream.Attempts.Count);
    }

    [Fact]
    public async Task Run_keeps_a_second_one_out_of_its_files()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(2)), "--upstream", upstream.Address];
        using ServerProcess run = ServerProcess.Start(command);
        while (upstream.AtOnce < 2)
        {
            await Task.Delay(5);
        }

        (int exitCode, _, string errors) = await ServerProcess.RunAsync(command);
        Assert.Equal(2, exitCode);
        Assert.Contains("Another inference-batch", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("somebody's notes, with no line break")]
    [InlineData("{\"a\":1}\n")]
    public async Task Run_never_touches_a_file_that_is_not_its_own(string content)
    {
        string output = _folder.File("out.jsonl", content);
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl", Requests.File(2)), "--output", output]);
        Assert.Equal(2, exitCode);
        Assert.Contains("out.jsonl", errors, StringComparison.Ordinal);
        Assert.Equal(content, await File.ReadAllTextAsync(output));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
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
}
