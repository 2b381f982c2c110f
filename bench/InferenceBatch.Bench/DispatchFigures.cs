using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>
/// Figures 5 to 7: the service dispatches a full batch with its durable log. With an instant upstream, including peak memory; with a slow
/// upstream; and compared with the service without fsync.
/// </summary>
internal static class DispatchFigures
{
    private const int Concurrency = 64;
    private const int BytesPerLine = 500;
    private const int BytesPerLargeLine = 3_800;
    private const string OpenAIVersion = "6.30.1";
    private const string Unit = "lines/s";
    private const string BareName = "dispatch, against a bare HttpClient loop";
    private const string OpenAIName = "dispatch, against the openai npm client's loop";

    private static readonly string[] s_self = [Environment.ProcessPath!];

    /// <summary>Figure 5.</summary>
    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder)
    {
        string requests = WriteRequests(settings, folder);
        using UpstreamProcess upstream = await UpstreamProcess.StartAsync();
        Figure bare = await AgainstBareAsync(settings, folder, requests, upstream.Address);
        Figure openAI = await AgainstOpenAIAsync(settings, folder, requests, upstream.Address);
        return [bare, openAI, await MemoryAsync(settings, folder, upstream.Address)];
    }

    /// <summary>Figure 6.</summary>
    public static async Task<IReadOnlyList<Figure>> SlowAsync(Settings settings, string folder)
    {
        const int Latency = 50;
        string requests = WriteRequests(settings, folder);
        using UpstreamProcess upstream = await UpstreamProcess.StartAsync(Latency);
        double held = 0;
        double[] rates = await Rounds.MediansAsync(
            "service · concurrency ÷ latency, lines/s", settings.IsQuick ? 1 : 3,
            async () =>
            {
                (long countBefore, double heldBefore) = await upstream.HeldAsync();
                double seconds = await ServiceSecondsAsync(settings, folder, requests, upstream.Address);
                (long count, double heldAfter) = await upstream.HeldAsync();
                held = (heldAfter - heldBefore) / (count - countBefore);
                return settings.Lines / seconds;
            },
            () => Task.FromResult(Concurrency / held));
        return
        [
            Figure.AtLeast(6, "dispatch to a 50 ms upstream, against concurrency ÷ latency", rates[0], rates[1], Unit, rates[0] / rates[1], 0.97,
                $"{settings.Lines:N0} lines, {Concurrency} in flight, create to completed; the latency is what the upstream itself measured, {Concurrency / rates[1] * 1000:0.0} ms"),
        ];
    }

    /// <summary>Figure 7.</summary>
    public static async Task<IReadOnlyList<Figure>> DurabilityAsync(Settings settings, string folder)
    {
        string requests = WriteRequests(settings, folder);
        using UpstreamProcess upstream = await UpstreamProcess.StartAsync();
        double[] seconds = await Rounds.MediansAsync(
            "service · the same without fsync", settings.Rounds,
            () => ServiceSecondsAsync(settings, folder, requests, upstream.Address),
            () => ServiceSecondsAsync(settings, folder, requests, upstream.Address, "--no-sync"));
        return
        [
            Figure.AtLeast(7, "dispatch, durable, against the same without fsync", settings.Lines / seconds[0], settings.Lines / seconds[1], Unit, seconds[1] / seconds[0], 0.85,
                $"{settings.Lines:N0} lines, {Concurrency} in flight, instant upstream; theirs is started with --no-sync: no fsync of logs, folders or database"),
        ];
    }

    private static async Task<Figure> AgainstBareAsync(Settings settings, string folder, string requests, Uri upstream)
    {
        double[] seconds = await Rounds.MediansAsync(
            "service · HttpClient loop", settings.Rounds,
            () => ServiceSecondsAsync(settings, folder, requests, upstream),
            () => LoopSecondsAsync([.. s_self, "loop"], settings, requests, upstream));
        return Figure.AtLeast(5, BareName, settings.Lines / seconds[0], settings.Lines / seconds[1], Unit, seconds[1] / seconds[0], 0.5,
            $"{settings.Lines:N0} lines, {Concurrency} in flight, create to completed, validation and fsync included; upstream and client share {Environment.ProcessorCount} cores");
    }

    private static async Task<Figure> AgainstOpenAIAsync(Settings settings, string folder, string requests, Uri upstream)
    {
        if (Child.Find("node") is not { } node || Child.Find("npm") is not { } npm)
        {
            return Figure.LeftOut(5, OpenAIName, Unit, "≥ 8", "node and npm are not on the PATH.");
        }

        string script = Path.Combine(folder, "openai-loop.mjs");
        File.Copy(Path.Combine(AppContext.BaseDirectory, "scripts", "openai-loop.mjs"), script);
        try
        {
            await Child.RunAsync([npm, "install", "--no-audit", "--no-fund", "--prefix", folder, "openai@" + OpenAIVersion]);
        }
        catch (InvalidOperationException exception)
        {
            return Figure.LeftOut(5, OpenAIName, Unit, "≥ 8", $"npm could not install openai@{OpenAIVersion}: {exception.Message.Split('\n')[0]}");
        }

        double[] seconds = await Rounds.MediansAsync(
            "service · openai client", settings.IsQuick ? 1 : 3,
            () => ServiceSecondsAsync(settings, folder, requests, upstream),
            () => LoopSecondsAsync([node, script], settings, requests, upstream));
        return Figure.AtLeast(5, OpenAIName, settings.Lines / seconds[0], settings.Lines / seconds[1], Unit, seconds[1] / seconds[0], 8,
            $"openai@{OpenAIVersion} on node {(await Child.RunAsync([node, "--version"])).Trim()}, one process, {Concurrency} in flight");
    }

    private static async Task<Figure> MemoryAsync(Settings settings, string folder, Uri upstream)
    {
        string requests = Path.Combine(folder, "large.jsonl");
        SampleData.WriteRequests(requests, settings.Lines, BytesPerLargeLine);
        using Service service = await Service.StartAsync(settings, folder, upstream, Concurrency);
        long idle = service.PeakBytes;
        string fileId = await service.UploadAsync(requests);
        long uploaded = service.PeakBytes;
        string outputId = await service.RunAsync(fileId, settings.Lines);
        long ran = service.PeakBytes;
        await service.DownloadAsync(outputId);
        return Figure.AtMost(5, "service: peak memory over a full batch", service.PeakBytes / 1e6, 300, "MB", 1, string.Create(CultureInfo.InvariantCulture,
            $"{settings.Lines:N0} lines, {new FileInfo(requests).Length / 1e6:N0} MB; resident peak of the process: {idle / 1e6:0} MB idle, {uploaded / 1e6:0} after the upload, {ran / 1e6:0} after the run, {service.PeakBytes / 1e6:0} after the results; theirs is the bound"));
    }

    private static string WriteRequests(Settings settings, string folder)
    {
        string requests = Path.Combine(folder, "dispatch.jsonl");
        SampleData.WriteRequests(requests, settings.Lines, BytesPerLine);
        return requests;
    }

    private static async Task<double> ServiceSecondsAsync(Settings settings, string folder, string requests, Uri upstream, params string[] more)
    {
        string warmUp = Path.Combine(folder, "warm-up.jsonl");
        File.WriteAllLines(warmUp, File.ReadLines(requests).Take(HttpClientLoop.WarmUp));
        using Service service = await Service.StartAsync(settings, folder, upstream, Concurrency, more);
        await service.RunAsync(await service.UploadAsync(warmUp), Math.Min(HttpClientLoop.WarmUp, settings.Lines));
        string fileId = await service.UploadAsync(requests);
        long start = Stopwatch.GetTimestamp();
        await service.RunAsync(fileId, settings.Lines);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static async Task<double> LoopSecondsAsync(string[] command, Settings settings, string requests, Uri upstream)
    {
        string[] arguments = [upstream.AbsoluteUri, requests, $"{settings.Lines}", $"{Concurrency}"];
        return (await Child.RunAsync<JsonElement>([.. command, .. arguments])).GetProperty("seconds").GetDouble();
    }
}
