using System.Globalization;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace InferenceBatch.Server.Tests;

/// <summary>The command line of the service, run as a process.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Serve_prints_its_address_and_stops_on_sigterm()
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
    public async Task A_port_in_use_is_reported()
    {
        using ServerProcess server = await ServerProcess.ServeAsync(_folder.Path);
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["serve", "--urls", server.Address.GetLeftPart(UriPartial.Authority), "--data", _folder.File("other")]);
        Assert.Equal(2, exitCode);
        string[] lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        Assert.Contains("Starting inference-batch", lines[0], StringComparison.Ordinal);
        string line = lines[1];
        Assert.StartsWith("inference-batch: ", line, StringComparison.Ordinal);
        Assert.Contains(server.Address.Port.ToString(CultureInfo.InvariantCulture), line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--urls", "http://0.0.0.0:0", "requires an API key")]
    [InlineData("--urls", "http://*:0", "requires an API key")]
    [InlineData("--urls", "http://[::]:0", "requires an API key")]
    [InlineData("--urls", "http://127.0.0.1:0;http://192.0.2.1:0", "requires an API key")]
    [InlineData("--urls", "ftp://127.0.0.1:0", "http://")]
    [InlineData("--upstream", "nonsense", "'nonsense'")]
    [InlineData("--upstream", "echo?speed=1", "'speed'")]
    [InlineData("--concurrency", "0", "'0'")]
    [InlineData("--completion-window", "soon", "'soon'")]
    [InlineData("--api-key-env", "NO_SUCH_VARIABLE_HERE", "NO_SUCH_VARIABLE_HERE")]
    [InlineData("--bogus", "1", "--bogus")]
    [InlineData("--log-format", "xml", "'xml'")]
    [InlineData("--log-level", "loud", "'loud'")]
    [InlineData("--webhook-secret-env", "HOME", "whsec_")]
    public async Task Invalid_options_are_reported_with_exit_code_2(string option, string value, string said)
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["serve", "--data", _folder.Path, option, value]);
        Assert.Equal(2, exitCode);
        Assert.Contains(said, errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--data", "serve", "--data", "")]
    [InlineData("INPUT.jsonl", "run", "")]
    [InlineData("--output", "run", "in.jsonl", "--output", "")]
    public async Task An_empty_value_is_reported_with_exit_code_2(string said, params string[] arguments)
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(arguments);
        Assert.Equal(2, exitCode);
        Assert.Contains($"{said}: the value must not be empty", Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_home_folder_data_is_required()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["serve", "--urls", "http://127.0.0.1:0"], ("HOME", _folder.File("none")), ("XDG_STATE_HOME", ""));
        Assert.Equal(2, exitCode);
        Assert.Contains("--data", Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_can_be_set_in_the_environment()
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["serve", "--data", _folder.Path], ("INFERENCE_BATCH_COMPLETION_WINDOW", "soon"), ("INFERENCE_BATCH_MAX_ATTEMPTS", "many"), ("INFERENCE_BATCH_ALLOW_INSECURE_WEBHOOKS", "perhaps"));
        Assert.Equal(2, exitCode);
        Assert.Contains("'soon'", errors, StringComparison.Ordinal);
        Assert.Contains("'many'", errors, StringComparison.Ordinal);
        Assert.Contains("'perhaps'", errors, StringComparison.Ordinal);
    }

    /// <summary>JSON log entries contain no prompts, answers, keys or secret addresses of receivers.</summary>
    [Fact]
    public async Task Json_log_entries_are_lines_of_json_without_secrets()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) =>
        {
            context.Response.StatusCode = 500;
            return context.Response.WriteAsync("planted-answer-of-receiver");
        });
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(400, """{"error":{"message":"planted-answer"}}"""));
        using ServerProcess server = ServerProcess.Start(
            [
                "serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path, "--log-format", "json", "--log-level", "debug", "--upstream", upstream.Address,
                "--upstream-key-env", "UP", "--api-key-env", "KEYS", "--webhook-secret-env", "HOOK", "--allow-insecure-webhooks",
            ],
            ("UP", "planted-upstream-key"), ("KEYS", "planted-key"), ("HOOK", "whsec_cGxhbnRlZC1ob29rLXNlY3JldA=="));
        await server.ReadyAsync();
        using var api = new ApiCaller(server.Address, "planted-key");
        using var stranger = new ApiCaller(server.Address, "planted-wrong-key");
        await stranger.GetAsync("batches", 401);
        string id = await api.SubmitAsync(Requests.Chat("planted-id", "planted prompt") + "\n", webhookUrl: receiver.Url);
        await api.EndAsync(id);
        await receiver.NextAsync();
        await receiver.NextAsync();
        Assert.Equal(0, await server.TerminateAsync());
        string log = await server.Errors;
        Assert.DoesNotContain("planted", log, StringComparison.Ordinal);
        Assert.DoesNotContain("cGxhbnRlZ", log, StringComparison.Ordinal);
        List<JsonElement> entries = [.. log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Contains(entries, entry => entry.GetProperty("Message").GetString() == $"{id}: completed" && entry.GetProperty("LogLevel").GetString() == "Information");
        Assert.Contains(entries, entry => entry.GetProperty("EventId").GetInt32() == 21 && entry.GetProperty("State").GetProperty("Batch").GetString() == id);
    }

    [Fact]
    public async Task The_log_level_is_the_lowest_level_that_is_logged()
    {
        using ServerProcess server = await ServerProcess.ServeAsync(_folder.Path, "--log-level", "warning");
        using var api = new ApiCaller(server.Address);
        await api.EndAsync(await api.SubmitAsync(Requests.File(1)));
        Assert.Equal(0, await server.TerminateAsync());
        Assert.Empty(await server.Errors);
    }

    [Fact]
    public async Task Keys_from_the_environment_are_required()
    {
        using ServerProcess server = ServerProcess.Start(
            ["serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path, "--api-key-env", "TEST_KEYS"], ("TEST_KEYS", "one, two"));
        await server.ReadyAsync();
        using var none = new ApiCaller(server.Address);
        await none.GetAsync("batches", 401);
        using var two = new ApiCaller(server.Address, "two");
        await two.GetAsync("batches");
    }
}
