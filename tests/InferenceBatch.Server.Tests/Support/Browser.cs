using System.Diagnostics;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>Headless Chromium, controlled with the DevTools protocol, for one test class.</summary>
public sealed class Browser : IAsyncLifetime
{
    private const string Ready = "DevTools listening on ";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly string _profile = Directory.CreateTempSubdirectory("inference-batch-test-").FullName;
    private Process? _process;
    private DevTools? _tools;

    /// <summary>The path of Chromium; null if it is not installed.</summary>
    public static string? Find() =>
        (from folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
         from name in new[] { "chromium", "chromium-browser", "google-chrome" }
         select Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    public async Task InitializeAsync()
    {
        if (Find() is not { } path)
        {
            return;
        }

        var start = new ProcessStartInfo(path) { RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (string argument in new[]
        {
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-proxy-server", "--remote-debugging-port=0", $"--user-data-dir={_profile}", "about:blank",
        })
        {
            start.ArgumentList.Add(argument);
        }

        _process = Process.Start(start)!;
        _ = _process.StandardOutput.ReadToEndAsync();
        string? line;
        do
        {
            line = await _process.StandardError.ReadLineAsync().WaitAsync(s_patience);
            Assert.True(line is not null, "Chromium ended before it was ready.");
        }
        while (!line.StartsWith(Ready, StringComparison.Ordinal));
        _ = _process.StandardError.ReadToEndAsync();
        _tools = await DevTools.ConnectAsync(new Uri(line[Ready.Length..]));
    }

    /// <summary>Opens a page with a new profile, without data of earlier pages.</summary>
    internal Task<BrowserPage> OpenAsync(Uri address, int width = 1280, bool isDark = false, string? downloads = null) =>
        BrowserPage.OpenAsync(_tools!, address, width, isDark, downloads);

    public async Task DisposeAsync()
    {
        _tools?.Dispose();
        if (_process is not null)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        try
        {
            Directory.Delete(_profile, recursive: true);
        }
        catch (IOException)
        {
            // A child process of Chromium may still be running.
        }
    }
}
