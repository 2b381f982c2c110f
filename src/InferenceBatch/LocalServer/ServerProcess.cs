using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using InferenceBatch.Model;

namespace InferenceBatch.LocalServer;

/// <summary>Starts and stops the process of the local service, which continues after the shell ends, and after Ctrl+C in it.</summary>
internal static class ServerProcess
{
    private const string ReadyLine = "listening on ";
    private const int LogTail = 10;
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(20);

    /// <summary>Starts a service and waits until it listens.</summary>
    /// <exception cref="ServerStartException">The service did not start.</exception>
    public static async Task<BatchServer> StartAsync(ServerOptions options, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = StartInfo();
        string[] arguments =
        [
            "serve", "--detached", "--urls", string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{options.Port}"),
            "--data", options.DataPath, "--upstream", options.Upstream, .. options.Arguments,
        ];
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string option, string? secret) in options.Secrets)
        {
            if (secret is not null)
            {
                string variable = "INFERENCE_BATCH_" + option[..^"-env".Length].ToUpperInvariant().Replace('-', '_');
                start.Environment[variable] = secret;
                start.ArgumentList.Add("--" + option);
                start.ArgumentList.Add(variable);
            }
        }

        var log = new FileInfo(Path.Combine(options.DataPath, "server.log"));
        long logStart = log.Exists ? log.Length : 0;
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
                ?? throw await FailureAsync(process, errors, options.DataPath, cancellationToken).ConfigureAwait(false);
            return new BatchServer(new Uri(address + "/v1"), process.Id, options.DataPath, options.Upstream, process.StartTime.ToUniversalTime());
        }
        catch (Exception exception) when (exception is OperationCanceledException or TimeoutException)
        {
            process.Kill();
            cancellationToken.ThrowIfCancellationRequested();
            throw new ServerStartException(Messages.Text("ServerStartFailed.Silent", s_startTimeout.TotalSeconds, Text(errors)) + Tail(log.FullName, logStart));
        }
        catch (ServerStartException exception) when (Tail(log.FullName, logStart) is { Length: > 0 } tail)
        {
            throw new ServerStartException(exception.Message + tail, exception);
        }
    }

    /// <summary>Asks a service to stop, and kills it if it does not stop in time. Its batches resume at the next start.</summary>
    public static async Task StopAsync(Process process, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows() || Kill(process.Id, Terminate) != 0)
        {
            process.Kill();
        }

        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(s_stopTimeout);
        try
        {
            await process.WaitForExitAsync(timeout.Token).ConfigureAwait(false);
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

        // The dotnet on the PATH finds its runtimes. The program itself looks only in the default locations.
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
            .WaitAsync(s_startTimeout, cancellationToken).ConfigureAwait(false) is { } line)
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
            return ServerOptionNames.ToParameters(errors.ToString().Trim());
        }
    }

    /// <summary>Returns the last lines that the service wrote to its log since its start; "" if there are none.</summary>
    private static string Tail(string path, long start)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            stream.Seek(start <= stream.Length ? start : 0, SeekOrigin.Begin); // The log may have been rotated.
            using var reader = new StreamReader(stream);
            string[] lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            return lines.Length == 0 ? "" : $"{Environment.NewLine}{Messages.Text("ServerStartFailed.Log", path)}{Environment.NewLine}{string.Join(Environment.NewLine, lines.TakeLast(LogTail))}";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private const int Terminate = 15;

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
