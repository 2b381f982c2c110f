using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using InferenceBatch.Model;
using InferenceBatch.Server.Cli;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Support;

namespace InferenceBatch.Server.Tests;

/// <summary><c>inference-batch run</c>, run as a process.</summary>
public sealed partial class RunTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Run_writes_two_files_and_a_second_run_reports_the_same()
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
    public async Task Run_exits_with_1_if_lines_failed()
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
    public async Task Run_resumes_after_a_kill()
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
        Assert.Contains("have a result already", errors, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(_folder.File("in.output.jsonl"));
        Assert.Equal(200, lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()).Distinct().Count());
        Assert.Equal(200, lines.Length);
        Assert.InRange(upstream.Attempts.Values.Sum() - 200, 0, 4);
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact]
    public async Task Run_stops_on_sigterm_and_resumes()
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
    public async Task Run_locks_its_files_against_a_second_run()
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
    [InlineData("other notes, without a line break")]
    [InlineData("{\"a\":1}\n")]
    public async Task Run_does_not_change_a_file_with_other_contents(string content)
    {
        string output = _folder.File("out.jsonl", content);
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["run", _folder.File("in.jsonl", Requests.File(2)), "--output", output]);
        Assert.Equal(2, exitCode);
        Assert.Contains("out.jsonl", errors, StringComparison.Ordinal);
        Assert.Equal(content, await File.ReadAllTextAsync(output));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    /// <summary>After a kill between the two renames at the end, the next run completes them and sends nothing.</summary>
    [Fact]
    public async Task Run_completes_an_interrupted_end()
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

    [Fact]
    public async Task Run_stops_on_ctrl_c_and_says_how_to_resume()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 3" && call.Attempt == 1 ? call.StallAsync() : call.OkAsync());
        string[] command = ["run", _folder.File("in.jsonl", Requests.File(5)), "--upstream", upstream.Address, "--request-timeout", "1m"];
        using (ServerProcess run = ServerProcess.Start(command))
        {
            string partial = _folder.File("in.output.jsonl.partial");
            await UntilAsync(() => File.Exists(partial) && File.ReadAllLines(partial).Length >= 4);
            Assert.Equal(130, await run.SignalAsync("INT"));
            Assert.Contains("Stopped with 4 of 5 lines done. To resume, run the same command again.", await run.Errors, StringComparison.Ordinal);
        }

        (int exitCode, _, _) = await ServerProcess.RunAsync(command);
        Assert.Equal(0, exitCode);
        Assert.Equal(2, upstream.Attempts["prompt 3"]);
        Assert.Equal(6, upstream.Attempts.Values.Sum());
    }

    /// <summary>If the disk becomes full during a run, nothing is lost or sent twice, and the run resumes by itself when there is space.</summary>
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
    public async Task Run_reports_a_file_that_it_cannot_write()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["run", _folder.File("in.jsonl", Requests.File(1)), "--output", _folder.File("no/such/folder/out.jsonl")]);
        Assert.Equal(2, exitCode);
        Assert.Contains("no/such/folder", errors, StringComparison.Ordinal);
        Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>The lines are identical except for their IDs.</summary>
    [Fact]
    public async Task Run_writes_the_same_lines_as_the_service()
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
    public async Task Run_writes_progress_lines_without_a_terminal()
    {
        var time = new FakeTime { SkipsWaits = false };
        var work = new TaskCompletionSource<int>();
        using var writer = new StringWriter();
        var counts = new RequestCounts(1000, 200, 0);
        Task<int> shown = RunProgress.WriteLinesAsync(() => counts, () => null, work.Task, writer, time);
        counts = new RequestCounts(1000, 495, 5);
        time.Advance(RunProgress.LineInterval);
        while (writer.ToString().Length == 0)
        {
            await Task.Delay(5);
        }

        work.SetResult(7);
        Assert.Equal(7, await shown);
        Assert.Equal("500 of 1,000 lines, 5 failed, 30.0 per second, about 17 s left" + Environment.NewLine, writer.ToString());
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

    /// <summary>A log entry that is longer than a row replaces the bar, and the bar is drawn again below it. No part of the old bar remains.</summary>
    [TerminalFact]
    public async Task Log_entries_are_written_above_the_bar()
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
