using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace InferenceBatch.Pipeline;

/// <summary>Starts and ends the process of the local service. It outlives the shell, and a Ctrl+C in it.</summary>
internal static class ServerProcess
{
    private const string ReadyLine = "listening on ";
    private const string UpstreamKeyVariable = "INFERENCE_BATCH_UPSTREAM_KEY";
    private static readonly TimeSpan s_startPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_stopPatience = TimeSpan.FromSeconds(20);

    /// <summary>Starts a service and waits until it listens.</summary>
    /// <exception cref="ServerStartException">It did not start.</exception>
    public static async Task<BatchServer> StartAsync(
        string dataPath, int port, string upstream, string? upstreamKey, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = StartInfo();
        string[] arguments =
        [
            "serve", "--detached", "--urls", string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"),
            "--data", dataPath, "--upstream", upstream,
        ];
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        if (upstreamKey is not null)
        {
            start.Environment[UpstreamKeyVariable] = upstreamKey;
            start.ArgumentList.Add("--upstream-key-env");
            start.ArgumentList.Add(UpstreamKeyVariable);
        }

        using Process process = Launch(start);
        var errors = new StringBuilder();
        process.ErrorDataReceived += (_, line) =>
        {
            lock (errors)
            {
                errors.AppendLine(line.Data);
            }
        };
        process.BeginErrorReadLine();
        try
        {
            string address = await ReadAddressAsync(process, cancellationToken).ConfigureAwait(false)
                ?? throw await FailureAsync(process, errors, dataPath, cancellationToken).ConfigureAwait(false);
            return new BatchServer(new Uri(address + "/v1"), process.Id, dataPath, upstream, process.StartTime.ToUniversalTime());
        }
        catch (Exception exception) when (exception is OperationCanceledException or TimeoutException)
        {
            process.Kill();
            cancellationToken.ThrowIfCancellationRequested();
            throw new ServerStartException(Messages.Text("ServerStartFailed.Silent", s_startPatience.TotalSeconds, Text(errors)));
        }
    }

    /// <summary>Asks a service to end, and ends it where it does not; its batches go on at the next start.</summary>
    public static async Task StopAsync(Process process, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows() || Kill(process.Id, Terminate) != 0)
        {
            process.Kill();
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(s_stopPatience);
        try
        {
            await process.WaitForExitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            process.Kill();
        }
    }

    private static Process Launch(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new ServerStartException(
                Messages.Text("ServerStartFailed.NotRun", start.FileName, exception.Message), exception);
        }
    }

    private static ProcessStartInfo StartInfo()
    {
        string folder = Path.Combine(Path.GetDirectoryName(typeof(ServerProcess).Assembly.Location)!, "server");
        string assembly = Path.Combine(folder, "inference-batch.dll");
        string program = Path.Combine(folder, OperatingSystem.IsWindows() ? "inference-batch.exe" : "inference-batch");
        if (!File.Exists(assembly))
        {
            throw new ServerStartException(Messages.Text("ServerStartFailed.NotBuilt", assembly));
        }

        // The dotnet on the PATH knows where the runtimes are; the program itself only looks in the usual places.
        bool hasDotnet = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(path => File.Exists(Path.Combine(path, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet")));
        var start = new ProcessStartInfo
        {
            FileName = hasDotnet || !File.Exists(program) ? "dotnet" : program,
            UseShellExecute = false,
            CreateNoWindow = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        if (start.FileName == "dotnet")
        {
            start.ArgumentList.Add(assembly);
        }

        return start;
    }

    private static async Task<string?> ReadAddressAsync(Process process, CancellationToken cancellationToken)
    {
        process.StandardInput.Close();
        while (await process.StandardOutput.ReadLineAsync(cancellationToken).AsTask()
            .WaitAsync(s_startPatience, cancellationToken).ConfigureAwait(false) is { } line)
        {
            if (line.StartsWith(ReadyLine, StringComparison.Ordinal))
            {
                return line[ReadyLine.Length..].TrimEnd('/');
            }
        }

        return null;
    }

    private static async Task<ServerStartException> FailureAsync(Process process, StringBuilder errors, string dataPath, CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        return new ServerStartException(Messages.Text("ServerStartFailed.Ended", process.ExitCode, dataPath, Text(errors)).TrimEnd());
    }

    private static string Text(StringBuilder errors)
    {
        lock (errors)
        {
            return errors.ToString().Trim();
        }
    }

    private const int Terminate = 15;

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
