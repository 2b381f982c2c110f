using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using InferenceBatch.Model;
using InferenceBatch.Server.Cli;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Support;

namespace InferenceBatch.Server.Tests;

/// <summary><c>inference-batch run</c>, as a process.</summary>
public sealed partial class RunTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

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

    /// <summary>An open of a pipe that nobody writes to never ends, and no signal ends it.</summary>
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

    /// <summary>As long as the file may be, and so may the wait for its end.</summary>
    [Fact]
    public async Task Run_hears_sigterm_within_an_endless_line()
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
    public async Task Run_goes_on_after_a_kill()
    {
        await using FaultUpstream upstream = await StartSlowUpstreamAsync();
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(200)), "--upstream", upstream.Address, "--concurrency", "4"];
        using (ServerProcess run = ServerProcess.Start(command))
        {
            await UntilAsync(() => upstream.Attempts.Count >= 60);
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
        await using FaultUpstream upstream = await StartSlowUpstreamAsync();
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(200)), "--upstream", upstream.Address, "--concurrency", "4"];
        using (ServerProcess run = ServerProcess.Start(command))
        {
            await UntilAsync(() => upstream.Attempts.Count >= 60);
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

    /// <summary>Killed between the two renames of its end: the next one finishes them and sends nothing.</summary>
    [Fact]
    public async Task Run_finishes_an_end_that_was_cut_short()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 2" ? call.AnswerAsync(400, "{}") : call.OkAsync());
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(3)), "--upstream", upstream.Address];
        Assert.Equal(1, (await ServerProcess.RunAsync(command)).ExitCode);
        string errors = _folder.File("in.errors.jsonl");
        File.Move(errors, errors + ".partial");
        (int exitCode, string said, _) = await ServerProcess.RunAsync(command);
        Assert.Equal(1, exitCode);
        Assert.Contains("2 succeeded, 1 failed", said, StringComparison.Ordinal);
        Assert.Single(await File.ReadAllLinesAsync(errors));
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);
        Assert.Equal(3, upstream.Attempts.Values.Sum());
    }

    /// <summary>A file's problems are all told, however many.</summary>
    [Fact]
    public async Task Run_lists_more_problems_than_anybody_reads()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl", string.Concat(Enumerable.Repeat("{\n", 3000)))]);
        Assert.Equal(2, exitCode);
        string[] lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3000, lines.Length);
        Assert.Contains("in.jsonl: line 3000: invalid_json_line", lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_stops_on_ctrl_c_and_says_how_to_go_on()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 3" && call.Attempt == 1 ? call.StallAsync() : call.OkAsync());
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(5)), "--upstream", upstream.Address, "--request-timeout", "1m"];
        using (ServerProcess run = ServerProcess.Start(command))
        {
            string partial = _folder.File("in.output.jsonl.partial");
            await UntilAsync(() => File.Exists(partial) && File.ReadAllLines(partial).Length >= 4);
            Assert.Equal(130, await run.SignalAsync("INT"));
            Assert.Contains("Stopped with 4 of 5 lines done; the same command resumes.", await run.Errors, StringComparison.Ordinal);
        }

        (int exitCode, _, _) = await ServerProcess.RunAsync(command);
        Assert.Equal(0, exitCode);
        Assert.Equal(2, upstream.Attempts["prompt 3"]);
        Assert.Equal(6, upstream.Attempts.Values.Sum());
    }

    [Fact]
    public async Task Run_does_not_go_on_with_an_input_that_was_changed()
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

    /// <summary>Results that may answer other lines than those in the file are not passed off as its results.</summary>
    [Fact]
    public async Task Run_notices_an_input_that_is_changed_under_it()
    {
        string input = _folder.File("in.jsonl", Requests.File(3));
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await File.AppendAllTextAsync(input, "\n");
            await call.OkAsync();
        });
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", input, "--upstream", upstream.Address, "--concurrency", "1"]);
        Assert.Equal(2, exitCode);
        Assert.Contains("was changed while its lines ran", errors, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("in.output.jsonl")));
        Assert.Equal(3, (await File.ReadAllLinesAsync(_folder.File("in.output.jsonl.partial"))).Length);
    }

    [Fact]
    public async Task Run_sees_a_change_behind_a_link()
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
        Assert.Contains("was changed while its lines ran", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_does_not_mind_an_input_that_is_only_touched()
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

    /// <summary>The disk is full in the middle: nothing is lost, nothing is sent in vain, and it goes on by itself once there is room.</summary>
    [SmallDiskFact]
    public async Task Run_waits_for_a_full_disk()
    {
        using var disk = new SmallDisk(16 * 1024);
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.OkAsync());
        using ServerProcess run = ServerProcess.Start(
        [
            "run", _folder.File("in.jsonl", Requests.File(100)), "--upstream", upstream.Address, "--concurrency", "4",
            "--output", Path.Combine(disk.Folder, "out.jsonl"), "--errors", _folder.File("err.jsonl"),
        ]);
        int before = -1;
        while (before < 4 || upstream.Attempts.Count != before)
        {
            before = upstream.Attempts.Count;
            await Task.Delay(300);
        }

        Assert.InRange(before, 5, 99);
        disk.Grow(1024 * 1024);
        Assert.Equal(0, await run.EndAsync());
        Assert.Contains("Results cannot be stored", await run.Errors, StringComparison.Ordinal);
        Assert.Equal(100, (await File.ReadAllLinesAsync(Path.Combine(disk.Folder, "out.jsonl"))).Length);
        Assert.All(upstream.Attempts.Values, attempts => Assert.Equal(1, attempts));
    }

    [Fact]
    public async Task Run_says_where_it_cannot_write()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["run", _folder.File("in.jsonl", Requests.File(1)), "--output", _folder.File("no/such/folder/out.jsonl")]);
        Assert.Equal(2, exitCode);
        Assert.Contains("no/such/folder", errors, StringComparison.Ordinal);
        Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>The service's files, to the byte, but for the ids that name a run.</summary>
    [Fact]
    public async Task Run_writes_what_the_service_writes()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt switch
        {
            "prompt 2" => call.AnswerAsync(400, """{"error":{"message":"no"}}"""),
            "prompt 3" => call.AnswerAsync(502, "<html>bad gateway</html>", "text/html"),
            "prompt 4" => call.Drop(),
            _ => call.OkAsync(),
        });
        await ServerProcess.RunAsync(
            ["run", _folder.File("in.jsonl", Requests.File(6)), "--upstream", upstream.Address, "--concurrency", "1", "--max-attempts", "1"]);
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            Engine = settings.Engine with { Concurrency = 1, MaxAttempts = 1 },
        });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(6)));
        foreach ((string field, string name) in new[] { ("output_file_id", "in.output.jsonl"), ("error_file_id", "in.errors.jsonl") })
        {
            string served = await service.Api.Http.GetStringAsync($"files/{batch.GetProperty(field).GetString()}/content");
            string[] lines = WithoutIds(await File.ReadAllTextAsync(_folder.File(name)));
            Assert.Equal(3, lines.Length);
            Assert.Equal(WithoutIds(served), lines);
        }
    }

    [Fact]
    public async Task Run_tells_how_far_it_is_without_a_terminal()
    {
        var time = new FakeTime { SkipsWaits = false };
        var work = new TaskCompletionSource<int>();
        using var writer = new StringWriter();
        var counts = new RequestCounts(1000, 200, 0);
        Task<int> shown = RunProgress.WriteLinesAsync(() => counts, () => null, work.Task, writer, time);
        counts = new RequestCounts(1000, 495, 5);
        time.Advance(RunProgress.LineEvery);
        while (writer.ToString().Length == 0)
        {
            await Task.Delay(5);
        }

        work.SetResult(7);
        Assert.Equal(7, await shown);
        Assert.Equal("500 of 1,000 lines, 5 failed, 30.0 a second, about 17 s left" + Environment.NewLine, writer.ToString());
    }

    [TerminalFact]
    public async Task Run_draws_a_bar_on_a_terminal()
    {
        string command = $"dotnet '{ServerProcess.Assembly}' run '{_folder.File("in.jsonl", Requests.File(30))}' --upstream 'echo?latency=100ms' --concurrency 4";
        var start = new ProcessStartInfo("script", ["-qec", command, "/dev/null"]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["TERM"] = "xterm-256color";
        start.Environment.Remove("NO_COLOR");
        using Process terminal = Process.Start(start)!;
        string shown = await terminal.StandardOutput.ReadToEndAsync();
        await terminal.WaitForExitAsync();
        Assert.Equal(0, terminal.ExitCode);
        Assert.Matches(@"\d+/30 lines, 0 failed", shown);
        Assert.Contains("30 succeeded, 0 failed", shown, StringComparison.Ordinal);
    }

    /// <summary>A log entry that is longer than a row takes the bar's place, and the bar is drawn anew below it: no part of it stays.</summary>
    [TerminalFact]
    public async Task What_is_logged_stands_above_the_bar()
    {
        int calls = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            await Task.Delay(300);
            await (Interlocked.Increment(ref calls) is > 4 and < 9 ? call.AnswerAsync(503, "{}") : call.OkAsync());
        });
        string command = $"stty cols 100; dotnet '{ServerProcess.Assembly}' run '{_folder.File("in.jsonl", Requests.File(12))}' --upstream {upstream.Address} --concurrency 2";
        var start = new ProcessStartInfo("script", ["-qec", command, "/dev/null"]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["TERM"] = "xterm-256color";
        start.Environment.Remove("NO_COLOR");
        using Process terminal = Process.Start(start)!;
        string shown = await terminal.StandardOutput.ReadToEndAsync();
        await terminal.WaitForExitAsync();
        Assert.Contains("12 succeeded, 0 failed", shown, StringComparison.Ordinal);
        string[] entries = [.. shown.Split('\n').Where(row => row.Contains("inference-batch[", StringComparison.Ordinal))];
        Assert.NotEmpty(entries);
        Assert.All(entries, row => Assert.EndsWith("\u001b[K", row.TrimEnd('\r'), StringComparison.Ordinal));
    }

    private string SparseFile()
    {
        using FileStream file = File.Create(_folder.File("sparse.jsonl"));
        file.SetLength(1L << 40);
        return file.Name;
    }

    private static Task<FaultUpstream> StartSlowUpstreamAsync() => FaultUpstream.StartAsync(async call =>
    {
        await Task.Delay(10);
        await call.OkAsync();
    });

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!isSo())
        {
            await Task.Delay(5, patience.Token);
        }
    }

    private static string[] WithoutIds(string jsonl) =>
        [.. Ids().Replace(jsonl, "$1").Split('\n', StringSplitOptions.RemoveEmptyEntries).Order()];

    [GeneratedRegex("""("id":"batch_req_|"request_id":"req_)[^"]*""")]
    private static partial Regex Ids();
}
