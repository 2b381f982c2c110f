using System.Diagnostics;
using System.Globalization;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>The built <c>inference-batch</c> as a process.</summary>
internal sealed class ServerProcess : IDisposable
{
    private const string Ready = "listening on ";

    /// <summary>The assembly that <c>dotnet</c> runs.</summary>
    public static readonly string Assembly = Path.Combine(AppContext.BaseDirectory, "inference-batch.dll");

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly Task<string> _errors;

    private ServerProcess(Process process)
    {
        _process = process;
        _errors = process.StandardError.ReadToEndAsync();
    }

    public int Id => _process.Id;

    public Uri Address { get; private set; } = null!;

    /// <summary>The output to standard error, when the process has ended.</summary>
    public Task<string> Errors => _errors;

    /// <summary>Runs the process to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(
        IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        using ServerProcess server = Start(arguments, environment);
        string output = await server._process.StandardOutput.ReadToEndAsync().WaitAsync(s_patience);
        int exitCode = await server.EndAsync();
        return (exitCode, output, await server._errors);
    }

    /// <summary>Starts the process without waiting.</summary>
    public static ServerProcess Start(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        // A child inherits an ignored SIGINT, for example under nohup or some test runners.
        string[] program = [.. OperatingSystem.IsLinux() ? ["env", "--default-signal=INT"] : Array.Empty<string>(), "dotnet", Assembly];
        var start = new ProcessStartInfo(program[0], program[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return new ServerProcess(Process.Start(start)!);
    }

    /// <summary>Starts <c>serve</c> on a free port and waits until it listens.</summary>
    public static async Task<ServerProcess> ServeAsync(string dataPath, params string[] more)
    {
        ServerProcess server = Start(["serve", "--urls", "http://127.0.0.1:0", "--data", dataPath, .. more]);
        await server.ReadyAsync();
        return server;
    }

    /// <summary>Waits until the service listens.</summary>
    public async Task ReadyAsync()
    {
        string? line = await _process.StandardOutput.ReadLineAsync().WaitAsync(s_patience);
        Assert.True(line?.StartsWith(Ready, StringComparison.Ordinal) == true, $"'{line}' {(line is null ? await _errors : "")}");
        Address = new Uri(line![Ready.Length..]);
    }

    /// <summary>Sends SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await EndAsync();
    }

    public Task<int> TerminateAsync() => SignalAsync("TERM");

    /// <summary>Sends a signal and waits for the end.</summary>
    public async Task<int> SignalAsync(string name)
    {
        using Process kill = Process.Start("kill", ["-" + name, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        return await EndAsync();
    }

    public async Task<int> EndAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(s_patience);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
