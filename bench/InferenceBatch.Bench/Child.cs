using System.Diagnostics;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>A child process: a server, a contestant or a PowerShell. Dispose kills it.</summary>
internal sealed class Child : IDisposable
{
    private readonly Process _process;

    private Child(Process process) => _process = process;

    /// <summary>The peak resident memory so far in bytes, including shared libraries.</summary>
    public long PeakBytes
    {
        get
        {
            _process.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    /// <summary>Returns the full path of a program on the PATH, or null if it is not found.</summary>
    public static string? Find(string program)
    {
        string[] names = OperatingSystem.IsWindows() ? [program + ".exe", program + ".cmd"] : [program];
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
    }

    /// <summary>Runs a program until it ends, and returns its standard output.</summary>
    /// <exception cref="InvalidOperationException">The program failed. The message contains its standard error.</exception>
    public static async Task<string> RunAsync(IReadOnlyList<string> command, string? folder = null)
    {
        using Process process = Start(command, folder);
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output
            : throw new InvalidOperationException($"{command[0]} failed with exit code {process.ExitCode}: {await error}{output}");
    }

    /// <summary>Runs a program, and returns the last line of its output, parsed as JSON.</summary>
    /// <inheritdoc cref="RunAsync"/>
    public static async Task<T> RunAsync<T>(IReadOnlyList<string> command, string? folder = null)
    {
        string output = await RunAsync(command, folder);
        return JsonSerializer.Deserialize<T>(output.TrimEnd().Split('\n')[^1], JsonSerializerOptions.Web)!;
    }

    /// <summary>Starts a server, and returns when it has printed its address.</summary>
    public static async Task<(Child Server, Uri Address)> ServeAsync(IReadOnlyList<string> command)
    {
        const string Ready = "listening on ";
        Process process = Start(command, null);
        _ = process.StandardError.ReadToEndAsync();
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.StartsWith(Ready, StringComparison.Ordinal))
            {
                _ = process.StandardOutput.ReadToEndAsync();
                return (new Child(process), new Uri(line[Ready.Length..].TrimEnd('/') + "/v1/"));
            }
        }

        throw new InvalidOperationException($"'{string.Join(' ', command)}' ended before it printed an address.");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static Process Start(IReadOnlyList<string> command, string? folder)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            WorkingDirectory = folder ?? "",
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NO_COLOR"] = "1";
        return Process.Start(start)!;
    }
}
