using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>Figures 1 and 4: the cmdlets against the script that everyone writes. Each run has a new PowerShell process.</summary>
internal static class CmdletFigures
{
    private const int BytesPerRequest = 700;
    private const string Module = "Module";
    private const string Script = "Script";

    /// <summary>Figure 1: builds request lines from pipeline objects.</summary>
    public static async Task<IReadOnlyList<Figure>> BuildAsync(Settings settings, string folder)
    {
        const string Name = "build request lines, against ConvertTo-Json";
        if (settings.PowerShell is null)
        {
            return [Figure.LeftOut(1, Name, "s", "≥ 12", Settings.NoPowerShell)];
        }

        string tickets = Path.Combine(folder, "tickets.csv");
        SampleData.WriteTickets(tickets, settings.Lines);
        string OutputOf(string way) => Path.Combine(folder, $"built-{way}.jsonl");
        Task<Run> RunAsync(string way) => PowerShellAsync(
            settings, "build-requests.ps1", way, "-TicketPath", tickets, "-OutputPath", OutputOf(way), "-Model", SampleData.Model, "-SystemPrompt", SampleData.SystemPrompt);

        double[] seconds = await Rounds.MediansAsync(
            "cmdlets · script", settings.Rounds, async () => (await RunAsync(Module)).Seconds, async () => (await RunAsync(Script)).Seconds);
        CheckSameLines(OutputOf(Module), OutputOf(Script), settings.Lines);
        return
        [
            Figure.AtLeast(1, Name, seconds[0], seconds[1], "s", seconds[1] / seconds[0], 12,
                $"{settings.Lines:N0} objects of Import-Csv, {new FileInfo(OutputOf(Module)).Length / 1e6:N0} MB of lines; fresh processes, without their start and the import; the lines are the same"),
        ];
    }

    /// <summary>Figure 4: joins results to their requests, typed and in order.</summary>
    public static async Task<IReadOnlyList<Figure>> JoinAsync(Settings settings, string folder)
    {
        const string Name = "join results to requests, against ConvertFrom-Json";
        const string MemoryName = "join: peak memory, ten times the lines";
        const double MemoryAim = 1.25;
        if (settings.PowerShell is null)
        {
            return [Figure.LeftOut(4, Name, "s", "≥ 15", Settings.NoPowerShell), Figure.LeftOut(4, MemoryName, "MB", $"≤ {MemoryAim}", Settings.NoPowerShell)];
        }

        double[] seconds = await Rounds.MediansAsync(
            "cmdlets · script", settings.Rounds,
            async () => (await JoinAsync(settings, folder, Module, settings.Lines)).Seconds,
            async () => (await JoinAsync(settings, folder, Script, settings.Lines)).Seconds);
        CheckSameResults(await JoinAsync(settings, folder, Module, 1_000), await JoinAsync(settings, folder, Script, 1_000));
        double[] bytes = await Rounds.MediansAsync(
            "peak MB: ten times the lines · the lines", settings.IsQuick ? 1 : 3,
            async () => (await JoinAsync(settings, folder, Module, settings.Lines * 10, "-Streamed")).PeakBytes / 1e6,
            async () => (await JoinAsync(settings, folder, Module, settings.Lines, "-Streamed")).PeakBytes / 1e6);
        return
        [
            Figure.AtLeast(4, Name, seconds[0], seconds[1], "s", seconds[1] / seconds[0], 15,
                $"{settings.Lines:N0} lines, one in a hundred failed, collected in a variable; fresh processes, without their start and the import"),
            Figure.AtMost(4, MemoryName, bytes[0], bytes[1], "MB", MemoryAim,
                $"peak resident memory of the whole PowerShell at {settings.Lines * 10:N0} lines (ours) and at {settings.Lines:N0} (theirs), -Ordered, results used one by one; {(bytes[0] - bytes[1]) * 1e6 / (settings.Lines * 9):0} bytes for each line more"),
        ];
    }

    private static async Task<Run> JoinAsync(Settings settings, string folder, string way, int lines, params string[] more)
    {
        string requests = Path.Combine(folder, $"join-{lines}.jsonl");
        string output = Path.Combine(folder, $"join-{lines}-output.jsonl");
        string errors = Path.Combine(folder, $"join-{lines}-error.jsonl");
        if (!File.Exists(requests))
        {
            SampleData.WriteResults(output, errors, lines);
            SampleData.WriteRequests(requests, lines, BytesPerRequest);
        }

        return await PowerShellAsync(settings, "join-results.ps1", way, ["-RequestPath", requests, "-OutputPath", output, "-ErrorPath", errors, .. more]);
    }

    private static Task<Run> PowerShellAsync(Settings settings, string script, string way, params string[] arguments) => Child.RunAsync<Run>(
        [.. settings.PowerShell!, "-NoProfile", "-NonInteractive", "-File", Path.Combine(AppContext.BaseDirectory, "scripts", script), "-Way", way, "-Manifest", settings.Manifest, .. arguments]);

    /// <summary>Throws if the two did not write the same lines, because then the times are not comparable.</summary>
    private static void CheckSameLines(string ourPath, string theirPath, int lines)
    {
        string[] ours = File.ReadAllLines(ourPath);
        string[] theirs = File.ReadAllLines(theirPath);
        if (ours.Length != lines || theirs.Length != lines)
        {
            throw new InvalidOperationException($"Expected {lines} lines, but the cmdlets wrote {ours.Length} and the script {theirs.Length}.");
        }

        for (int i = 0; i < lines; i++)
        {
            using var our = JsonDocument.Parse(ours[i]);
            using var their = JsonDocument.Parse(theirs[i]);
            if (!JsonElement.DeepEquals(our.RootElement, their.RootElement))
            {
                throw new InvalidOperationException($"Line {i + 1} differs:\n{ours[i]}\n{theirs[i]}");
            }
        }
    }

    private static void CheckSameResults(Run ours, Run theirs)
    {
        if (ours.Digest != theirs.Digest)
        {
            throw new InvalidOperationException($"The results differ: {ours.Digest} and {theirs.Digest}");
        }
    }

    /// <summary>The output of a script.</summary>
    /// <param name="Seconds">The duration of the measured part.</param>
    /// <param name="PeakBytes">The peak resident memory of the process.</param>
    /// <param name="Digest">A digest of the results, for comparison.</param>
    private sealed record Run(double Seconds, long PeakBytes, string? Digest);
}
