using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// Kills the service (SIGKILL) at a random time of an operation, starts it again, sometimes kills it again while it
/// recovers, and then compares everything that it has stored with what it has confirmed. All rounds use one data folder.
/// </summary>
internal sealed class KillRounds : IAsyncDisposable
{
    private const int Concurrency = 8;
    private const int Lines = 200;

    private static readonly string[] s_phases = ["upload", "validating", "running", "finalizing", "cancelling", "expiring", "deleting"];

    private readonly TempFolder _folder = new();
    private readonly Random _dice;
    private readonly ITestOutputHelper _log;
    private readonly FaultUpstream _upstream;
    private readonly Dictionary<string, string> _files = [];
    private readonly Dictionary<string, string> _ended = [];
    private ServerProcess _server = null!;
    private ApiCaller _api = null!;
    private int _kills;

    private KillRounds(Random dice, ITestOutputHelper log, FaultUpstream upstream)
    {
        _dice = dice;
        _log = log;
        _upstream = upstream;
    }

    /// <summary>The number of repeated requests to the upstream in all rounds.</summary>
    public int SentAgain { get; private set; }

    /// <summary>The number of lines of all batches.</summary>
    public int AllLines { get; private set; }

    public static async Task RunAsync(int rounds, Random dice, ITestOutputHelper log)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(AnswerAsync);
        await using var all = new KillRounds(dice, log, upstream);
        await all.StartAsync(s_phases[0]);
        for (int round = 0; round < rounds; round++)
        {
            await all.RoundAsync(round, s_phases[round % s_phases.Length], s_phases[(round + 1) % s_phases.Length]);
        }

        foreach ((string id, string batch) in all._ended)
        {
            Assert.Equal(batch, (await all._api.GetAsync($"batches/{id}")).GetRawText());
        }

        log.WriteLine($"{rounds} rounds, {all._kills} kills, {all._ended.Count} batches, {all.AllLines} lines: no line lost or repeated; {all.SentAgain} sent again");
    }

    public ValueTask DisposeAsync()
    {
        _api.Dispose();
        _server.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Answers a line after 5 ms, except a third of the lines of an expiring batch, which are never answered.</summary>
    private static async Task AnswerAsync(FaultUpstream.Call call)
    {
        string[] prompt = call.Prompt.Split(' ');
        int line = int.Parse(prompt[^1], CultureInfo.InvariantCulture);
        if (prompt[0] == "expiring" && line % 3 == 0)
        {
            await call.StallAsync();
            return;
        }

        await Task.Delay(5);
        await (line % 10 == 7 ? call.AnswerAsync(400, "{}") : call.OkAsync());
    }

    private async Task RoundAsync(int round, string phase, string nextPhase)
    {
        string prompt = $"{phase} {round}";
        string file = FileOf(phase, prompt);
        double delay = _dice.NextDouble();
        Outcome outcome = phase switch
        {
            "upload" => await KillUploadAsync(file, delay),
            "deleting" => await KillDeleteAsync(file, delay),
            _ => await KillBatchAsync(phase, prompt, file, delay),
        };
        int kills = 1;
        if (_dice.Next(4) == 0)
        {
            // Kill it again while it recovers. The runtime needs the first 100 ms to start.
            using ServerProcess recovering = Start(nextPhase);
            await Task.Delay(100 + _dice.Next(400));
            await recovering.KillAsync();
            kills++;
        }

        _kills += kills;
        await StartAsync(nextPhase);
        string said = outcome.FileId is null ? "no response" : "response";
        string end = await CheckAsync(outcome, file, prompt, kills);
        _log.WriteLine($"{round}: {phase} at {delay:0.00}, {kills} kills, {said}, {end}");
    }

    private ServerProcess Start(string phase) => ServerProcess.Start([
        "serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path, "--upstream", _upstream.Address, "--concurrency", $"{Concurrency}",
        "--cancel-grace", "20ms", "--completion-window", phase == "expiring" ? "400ms" : "24h"]);

    private async Task StartAsync(string phase)
    {
        _server = Start(phase);
        await _server.ReadyAsync();
        _api = new ApiCaller(_server.Address);
    }

    private async Task KillAsync()
    {
        await _server.KillAsync();
        _server.Dispose();
    }

    private static string FileOf(string phase, string prompt)
    {
        var file = new StringBuilder();
        for (int line = 1; line <= Lines; line++)
        {
            file.Append(Requests.Chat($"{prompt} {line}", $"{prompt} {line}")).Append('\n');
        }

        return phase switch
        {
            "validating" => new string('\n', 1_000_000) + file, // Blank lines are validated, but not run.
            "upload" => file.ToString() + new string('\n', 3_000_000),
            _ => file.ToString(),
        };
    }

    private async Task<Outcome> KillUploadAsync(string file, double delay)
    {
        Task<string?> upload = TryAsync(() => _api.UploadAsync(file));
        await WaitAsync(delay * 120);
        await KillAsync();
        return new Outcome(await upload, null);
    }

    private async Task<Outcome> KillDeleteAsync(string file, double delay)
    {
        string id = await _api.UploadAsync(file);
        _files[id] = Hash(file);
        Task<string?> delete = TryAsync(async () =>
        {
            using HttpResponseMessage response = await _api.Http.DeleteAsync($"files/{id}");
            return (await ApiCaller.ReadAsync(response, 200)).GetProperty("id").GetString()!;
        });
        await WaitAsync(delay * 10);
        await KillAsync();
        string? deleted = await delete;
        return new Outcome(deleted, null) { DeletedId = id };
    }

    private async Task<Outcome> KillBatchAsync(string phase, string prompt, string file, double delay)
    {
        string input = await _api.UploadAsync(file);
        _files[input] = Hash(file);
        long start = Stopwatch.GetTimestamp();
        Task<string?> create = TryAsync(async () => (await _api.CreateAsync(input)).GetProperty("id").GetString()!);
        switch (phase)
        {
            case "validating":
                await WaitAsync(delay * 120);
                break;
            case "running":
                await WaitAsync(delay * 250);
                break;
            case "finalizing":
                await UntilAsync(() => Answered(prompt) == Lines);
                await WaitAsync(delay * 40);
                break;
            case "expiring":
                await create;
                await WaitAsync(Math.Max(0, 380 + (delay * 100) - Stopwatch.GetElapsedTime(start).TotalMilliseconds));
                break;
            default:
                string id = (await create)!;
                await UntilAsync(() => Answered(prompt) >= delay * Lines / 2);
                Task<string?> cancel = TryAsync(async () => (await _api.CancelAsync(id)).GetProperty("status").GetString()!);
                await WaitAsync(_dice.NextDouble() * 60);
                await KillAsync();
                return new Outcome(input, id) { WasCancelled = await cancel is not null };
        }

        await KillAsync();
        return new Outcome(input, await create);
    }

    private int Answered(string prompt) => _upstream.Attempts.Count(attempt => attempt.Key.StartsWith(prompt + " ", StringComparison.Ordinal));

    /// <summary>Requests everything from the new process, and compares it with what the killed processes have confirmed.</summary>
    private async Task<string> CheckAsync(Outcome outcome, string file, string prompt, int kills)
    {
        string end = "no batch";
        if (outcome.BatchId is not null)
        {
            end = await CheckBatchAsync(outcome, prompt, kills);
        }
        else if (outcome.DeletedId is null && outcome.FileId is { } input)
        {
            _files[input] = Hash(file);

            // A create without a response may or may not have succeeded.
            JsonElement newest = (await _api.GetAsync("batches?limit=1")).GetProperty("data");
            if (newest.GetArrayLength() == 1 && newest[0].GetProperty("input_file_id").GetString() == input)
            {
                end = await CheckBatchAsync(outcome with { BatchId = newest[0].GetProperty("id").GetString() }, prompt, kills);
            }
        }

        await CheckFilesAsync(outcome, file);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_folder.Path, "batches")));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_folder.Path, "temp")));
        return end;
    }

    private async Task<string> CheckBatchAsync(Outcome outcome, string prompt, int kills)
    {
        JsonElement batch = await _api.EndAsync(outcome.BatchId!);
        string status = batch.GetProperty("status").GetString()!;
        string[] possible = prompt.Split(' ')[0] switch
        {
            "cancelling" => outcome.WasCancelled ? ["cancelled"] : ["cancelled", "completed"],
            "expiring" => ["expired"],
            _ => ["completed"],
        };
        Assert.Contains(status, possible);
        List<JsonElement> output = await _api.LinesAsync(batch.GetProperty("output_file_id"));
        List<JsonElement> errors = await _api.LinesAsync(batch.GetProperty("error_file_id"));
        Assert.Equal(
            Enumerable.Range(1, Lines).Select(line => $"{prompt} {line}").Order(StringComparer.Ordinal),
            output.Concat(errors).Select(line => line.GetProperty("custom_id").GetString()!).Order(StringComparer.Ordinal));
        Assert.Equal($$"""{"total":{{Lines}},"completed":{{output.Count}},"failed":{{errors.Count}}}""", batch.GetProperty("request_counts").GetRawText());
        Assert.All(output, line => Assert.Equal(
            "re: " + line.GetProperty("custom_id").GetString(),
            line.GetProperty("response").GetProperty("body").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()));
        Assert.All(errors, line => Assert.Equal(
            line.GetProperty("response").ValueKind == JsonValueKind.Null ? "batch_" + status : null,
            line.GetProperty("error") is { ValueKind: JsonValueKind.Object } error ? error.GetProperty("code").GetString() : null));
        if (batch.GetProperty("usage") is { ValueKind: JsonValueKind.Object } usage)
        {
            Assert.Equal(output.Count * 5, usage.GetProperty("total_tokens").GetInt32());
        }

        int sentAgain = _upstream.Attempts.Where(attempt => attempt.Key.StartsWith(prompt + " ", StringComparison.Ordinal)).Sum(attempt => attempt.Value - 1);
        Assert.InRange(sentAgain, 0, kills * Concurrency);
        SentAgain += sentAgain;
        AllLines += Lines;
        _ended[outcome.BatchId!] = batch.GetRawText();
        foreach (string name in new[] { "output_file_id", "error_file_id" })
        {
            if (batch.GetProperty(name).GetString() is { } id)
            {
                _files[id] = Hash(await _api.Http.GetStringAsync($"files/{id}/content"));
            }
        }

        return $"{status}, {sentAgain} sent again";
    }

    private async Task CheckFilesAsync(Outcome outcome, string file)
    {
        List<string> listed = [.. (await _api.GetAsync("files")).GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString()!)];
        Assert.Equal(listed.Order(), Directory.GetFiles(Path.Combine(_folder.Path, "files")).Select(path => Path.GetFileName(path)).Order());
        if (outcome.DeletedId is { } deleted && (outcome.FileId is not null || !listed.Contains(deleted)))
        {
            _files.Remove(deleted);
        }

        string[] unknown = [.. listed.Except(_files.Keys)];
        if (unknown.Length > 0)
        {
            // The only unknown file can be an upload whose response did not arrive, and it must be complete.
            Assert.Null(outcome.FileId);
            _files[Assert.Single(unknown)] = Hash(file);
        }

        Assert.Equal(_files.Keys.Order(), listed.Order());
        foreach (string id in unknown.Concat(listed.Where(_ => _dice.Next(listed.Count) == 0)))
        {
            Assert.Equal(_files[id], Hash(await _api.Http.GetStringAsync($"files/{id}/content")));
        }
    }

    private static async Task<string?> TryAsync(Func<Task<string>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return null;
        }
    }

    /// <summary>Waits with a precision of less than a millisecond, because the steps at the end of a batch are that short.</summary>
    private static async Task WaitAsync(double milliseconds)
    {
        long start = Stopwatch.GetTimestamp();
        if (milliseconds > 20)
        {
            await Task.Delay((int)milliseconds - 10);
        }

        await Task.Run(() => SpinWait.SpinUntil(() => Stopwatch.GetElapsedTime(start).TotalMilliseconds >= milliseconds));
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        long start = Stopwatch.GetTimestamp();
        while (!isSo())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30), "The upstream did not receive the expected requests in time.");
            await Task.Delay(1);
        }
    }

    private static string Hash(string text) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>The responses of the killed process.</summary>
    /// <param name="FileId">The file of the response; null without a response.</param>
    /// <param name="BatchId">The batch of the response.</param>
    private sealed record Outcome(string? FileId, string? BatchId)
    {
        public string? DeletedId { get; init; }

        public bool WasCancelled { get; init; }
    }
}
