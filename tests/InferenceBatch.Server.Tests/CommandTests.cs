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
}
