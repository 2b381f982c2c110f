using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>What a power cut, a bad disk or a user may do to the data folder while the service is down and half of a batch is done.</summary>
public sealed class DamageTests : IAsyncDisposable
{
    private const int Lines = 20;
    private const int Done = 10;

    private readonly TempFolder _folder = new();
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FaultUpstream _upstream = null!;

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("{\"id\":\"batch_req_")]
    [InlineData("\0\0\0\0\0\0\0\0\0\0\0\0")]
    [InlineData("\0\0\0\0\n\0\0\0\0")]
    [InlineData("\u0001\u0002 what another program has left here \ufffd\n\n{{{\n")]
    public async Task Only_the_damaged_end_of_a_result_file_is_dropped(string tail)
    {
        string id = await HalfDoneAsync();
        string file = PathOf(id, "output");
        await File.AppendAllTextAsync(file, tail);
        JsonElement batch = await ResumeAsync(id);
        await AssertCompletedAsync(batch);
        Assert.All(Enumerable.Range(1, Done), line => Assert.Equal(1, _upstream.Attempts[$"prompt {line}"]));
    }

    /// <summary>A damaged line is not a result. It is run again, and the other lines are kept.</summary>
    [Theory]
    [InlineData("batch_req_", "batch_rex_")]
    [InlineData("{\"id\"", "{\"ix\"")]
    [InlineData("{\"id\"", "x\"id\"")]
    [InlineData("\"response\"", "\"responze\"")]
    [InlineData("\"status_code\":200", "\"status_code\":500")]
    [InlineData("\"status_code\"", "\"statur_code\"")]
    [InlineData("\"body\"", "\"bodx\"")]
    [InlineData("}\n", "}x\n")]
    [InlineData("}\n", "} {}\n")]
    [InlineData("}\n", "}")]
    [InlineData("}\n", "\n")]
    [InlineData("}\n", "}\n5\n")]
    public async Task A_damaged_line_is_run_again(string what, string becomes)
    {
        string id = await HalfDoneAsync();
        string file = PathOf(id, "output");
        string[] lines = [.. (await File.ReadAllLinesAsync(file)).Select(line => line + "\n")];
        lines[4] = lines[4].Replace(what, becomes, StringComparison.Ordinal);
        await File.WriteAllTextAsync(file, string.Concat(lines));
        await AssertCompletedAsync(await ResumeAsync(id));
    }

    /// <summary>A damaged error line must not stop the service, whatever its structure and encoding.</summary>
    [Theory]
    [InlineData("\"status_code\":400", "\"status_code\":4e99")]
    [InlineData("\"status_code\"", "\"statur_code\"")]
    [InlineData("\"status_code\":400", "\"status_code\":200")]
    [InlineData("\"response\":{", "\"response\":7,\"x\":{")]
    [InlineData("no such", "no \u00fe\u00ffch")]
    public async Task A_damaged_error_line_is_run_again(string what, string becomes)
    {
        bool refuses = true;
        _upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 2" && refuses
            ? call.AnswerAsync(400, """{"error":{"message":"no such model","code":"bad"}}""")
            : call.Prompt == "prompt 3" && refuses ? call.StallAsync() : call.OkAsync());
        string id;
        await using (TestService service = await StartAsync())
        {
            id = await service.Api.SubmitAsync(Requests.File(Lines));
            await service.Api.DoneAsync(id, 2);
        }

        string file = PathOf(id, "error");
        string line = await File.ReadAllTextAsync(file);
        Assert.Contains(what, line, StringComparison.Ordinal);
        await File.WriteAllBytesAsync(file, Encoding.Latin1.GetBytes(line.Replace(what, becomes, StringComparison.Ordinal)));
        refuses = false;
        await AssertCompletedAsync(await ResumeAsync(id));
    }

    [Fact]
    public async Task A_duplicate_result_line_counts_once()
    {
        string id = await HalfDoneAsync();
        string file = PathOf(id, "output");
        await File.AppendAllTextAsync(file, (await File.ReadAllLinesAsync(file))[3] + "\n");
        await AssertCompletedAsync(await ResumeAsync(id));
        Assert.All(Enumerable.Range(1, Done), line => Assert.Equal(1, _upstream.Attempts[$"prompt {line}"]));
    }

    [Fact]
    public async Task An_input_that_was_truncated_at_the_end_of_a_line_is_detected()
    {
        string id = await HalfDoneAsync();
        string input = Directory.GetFiles(Path.Combine(_folder.Path, "files")).Single();
        await File.WriteAllLinesAsync(input, (await File.ReadAllLinesAsync(input)).Take(Lines - 2));
        await AssertFailedAsync(await ResumeAsync(id), "file_changed", "has changed since the upload");
    }

    [Fact]
    public async Task Lines_that_were_not_synced_are_run_again_but_not_those_around_them()
    {
        string id = await HalfDoneAsync();
        string file = PathOf(id, "output");
        byte[] bytes = await File.ReadAllBytesAsync(file);
        string[] lines = Encoding.UTF8.GetString(bytes).Split('\n');
        int hole = Encoding.UTF8.GetByteCount(lines[0]) + 40; // Within the second line, into the third.
        bytes.AsSpan(hole, lines[1].Length).Clear();
        await File.WriteAllBytesAsync(file, bytes);
        string[] lost = [PromptOf(lines[1]), PromptOf(lines[2])];
        JsonElement batch = await ResumeAsync(id);
        await AssertCompletedAsync(batch);
        Assert.Equal(
            lost.Order(),
            Enumerable.Range(1, Done).Select(line => $"prompt {line}").Where(prompt => _upstream.Attempts[prompt] == 2).Order());
    }

    [Fact]
    public async Task A_finalizing_batch_that_has_lost_its_last_lines_runs_them_again()
    {
        string id = await HalfDoneAsync();
        using (var database = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={_folder.Path}/batches.db;Pooling=False"))
        {
            database.Open();
            using Microsoft.Data.Sqlite.SqliteCommand command = database.CreateCommand();
            command.CommandText = "UPDATE batches SET status = 'finalizing', outcome = 'completed', finalizing_at = in_progress_at";
            Assert.Equal(1, command.ExecuteNonQuery());
        }

        await AssertCompletedAsync(await ResumeAsync(id));
    }

    [Fact]
    public async Task A_batch_without_its_input_file_fails_and_keeps_its_results()
    {
        string id = await HalfDoneAsync();
        await using (TestService service = await StartAsync())
        {
            string input = (await service.Api.GetAsync($"batches/{id}")).GetProperty("input_file_id").GetString()!;
            File.Delete(Path.Combine(_folder.Path, "files", input));
        }

        JsonElement batch = await ResumeAsync(id);
        await AssertFailedAsync(batch, "file_not_found", "input file no longer exists");
    }

    [Fact]
    public async Task A_batch_with_an_overwritten_input_fails_with_the_bad_lines_and_keeps_its_results()
    {
        string id = await HalfDoneAsync();
        string path;
        await using (TestService service = await StartAsync())
        {
            path = Path.Combine(_folder.Path, "files", (await service.Api.GetAsync($"batches/{id}")).GetProperty("input_file_id").GetString()!);
        }

        // The service must not read the file at this moment, because a truncated file is a different error.
        string content = await File.ReadAllTextAsync(path);
        await File.WriteAllTextAsync(path, content[..^10] + new string('#', 9) + "\n");
        JsonElement batch = await ResumeAsync(id);
        await AssertFailedAsync(batch, "invalid_json_line", "JSON");
        Assert.Equal(Lines, batch.GetProperty("errors").GetProperty("data")[0].GetProperty("line").GetInt32());
    }

    [Fact]
    public async Task An_input_that_is_truncated_while_it_is_read_ends_the_batch()
    {
        string id = await HalfDoneAsync();
        await using TestService service = await StartAsync();
        await service.Api.UntilAsync(id, _ => _upstream.AtOnce == 1);
        string input = (await service.Api.GetAsync($"batches/{id}")).GetProperty("input_file_id").GetString()!;
        await using (var file = new FileStream(Path.Combine(_folder.Path, "files", input), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(file.Length / 2);
        }

        _release.TrySetResult();
        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal("failed", batch.GetProperty("status").GetString());
        Assert.Equal("file_changed", batch.GetProperty("errors").GetProperty("data")[0].GetProperty("code").GetString());
        Assert.InRange((await service.Api.LinesAsync(batch.GetProperty("output_file_id"))).Count, Done, Lines - 1);
    }

    [Fact]
    public async Task After_a_restart_a_batch_shows_its_progress_before_its_result_files_are_read()
    {
        string id = await HalfDoneAsync();
        string input;
        await using (TestService service = await StartAsync())
        {
            await service.Api.UntilAsync(id, _ => _upstream.AtOnce == 1);
            input = (await service.Api.GetAsync($"batches/{id}")).GetProperty("input_file_id").GetString()!;
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            while (Stored.Read(_folder.Path, database => database.Batches.Find(id)!.Counts.Completed) != Done)
            {
                Assert.False(patience.IsCancellationRequested, "The counts were never stored.");
                await Task.Delay(20);
            }
        }

        // A folder with the name of the result file cannot be read, so the batch waits and shows only its record.
        string path = Path.Combine(_folder.Path, "batches", $"{id}.output.partial");
        File.Move(path, path + ".away");
        Directory.CreateDirectory(path);
        await using (TestService service = await StartAsync())
        {
            JsonElement batch = await service.Api.GetAsync($"batches/{id}");
            Assert.Equal("in_progress", batch.GetProperty("status").GetString());
            Assert.Equal($$"""{"total":{{Lines}},"completed":{{Done}},"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        }

        Directory.Delete(path);
        File.Move(path + ".away", path);
        await AssertCompletedAsync(await ResumeAsync(id));
    }

    /// <summary>Creates a batch of 20 lines with results for the first 10, and stops the service.</summary>
    private async Task<string> HalfDoneAsync()
    {
        _upstream = await FaultUpstream.StartAsync(async call =>
        {
            if (int.Parse(call.Prompt.Split(' ')[1], null) > Done)
            {
                await Task.WhenAny(_release.Task, call.StallAsync());
            }

            await call.OkAsync();
        });
        await using TestService service = await StartAsync();
        string id = await service.Api.SubmitAsync(Requests.File(Lines));
        await service.Api.DoneAsync(id, Done);
        return id;
    }

    private async Task<JsonElement> ResumeAsync(string id)
    {
        _release.TrySetResult();
        await using TestService service = await StartAsync();
        JsonElement batch = await service.Api.EndAsync(id);
        return batch;
    }

    private Task<TestService> StartAsync() => TestService.StartAsync(settings => settings with
    {
        Upstream = _upstream.Address,
        Engine = new EngineSettings { Concurrency = 1, StopGrace = TimeSpan.Zero },
    }, folder: _folder);

    private async Task AssertCompletedAsync(JsonElement batch)
    {
        Assert.Equal("completed", batch.GetProperty("status").GetString());
        Assert.Equal($$"""{"total":{{Lines}},"completed":{{Lines}},"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(Lines * 5, batch.GetProperty("usage").GetProperty("total_tokens").GetInt32());
        await using TestService service = await StartAsync();
        Assert.Equal(
            Enumerable.Range(1, Lines).Select(line => $"r-{line}").Order(),
            (await service.Api.LinesAsync(batch.GetProperty("output_file_id"))).Select(line => line.GetProperty("custom_id").GetString()!).Order());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_folder.Path, "batches")));
    }

    private async Task AssertFailedAsync(JsonElement batch, string code, string message)
    {
        Assert.Equal("failed", batch.GetProperty("status").GetString());
        JsonElement error = batch.GetProperty("errors").GetProperty("data")[0];
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Contains(message, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal($$"""{"total":{{Lines}},"completed":{{Done}},"failed":0}""", batch.GetProperty("request_counts").GetRawText());
        Assert.Equal(Done * 5, batch.GetProperty("usage").GetProperty("total_tokens").GetInt32());
        await using TestService service = await StartAsync();
        Assert.Equal(Done, (await service.Api.LinesAsync(batch.GetProperty("output_file_id"))).Count);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_folder.Path, "batches")));
    }

    private string PathOf(string id, string kind) => Path.Combine(_folder.Path, "batches", $"{id}.{kind}.partial");

    private static string PromptOf(string line) =>
        "prompt " + JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()![2..];
}
