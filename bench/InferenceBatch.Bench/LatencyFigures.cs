using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>Figure 8: the latency of the service for a single line, and for a restart after a kill.</summary>
internal static class LatencyFigures
{
    private const int Concurrency = 64;
    private const int BytesPerLine = 500;
    private const int OneLineBatches = 25;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(1);

    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder)
    {
        using UpstreamProcess upstream = await UpstreamProcess.StartAsync();
        return [await OneLineAsync(settings, folder, upstream), await RestartAsync(settings, folder, upstream)];
    }

    private static async Task<Figure> OneLineAsync(Settings settings, string folder, UpstreamProcess upstream)
    {
        const double Bound = 50;
        string requests = Path.Combine(folder, "one.jsonl");
        SampleData.WriteRequests(requests, 1, BytesPerLine);
        using Service service = await Service.StartAsync(settings, folder, upstream.Address, Concurrency);
        using var client = new HttpClient();
        using JsonDocument line = JsonDocument.Parse(File.ReadLines(requests).First());
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(line.RootElement.GetProperty("body"));
        double[] milliseconds = await Rounds.MediansAsync(
            "one-line batch · the request itself, ms", settings.IsQuick ? 3 : OneLineBatches,
            async () =>
            {
                string fileId = await service.UploadAsync(requests);
                long start = Stopwatch.GetTimestamp();
                await service.RunAsync(fileId, 1, s_poll);
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            },
            async () =>
            {
                using var content = new ByteArrayContent(body);
                content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                long start = Stopwatch.GetTimestamp();
                using HttpResponseMessage response = await client.PostAsync(new Uri(upstream.Address, "chat/completions"), content);
                response.EnsureSuccessStatusCode();
                await response.Content.ReadAsByteArrayAsync();
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            });
        return Figure.AtMost(8, "one-line batch, create to completed, over the upstream's own time", milliseconds[0] - milliseconds[1], Bound, "ms", 1,
            $"{milliseconds[0]:0.0} ms by the service, asked every millisecond; {milliseconds[1]:0.0} ms by the request itself; every change of status synced; theirs is the bound");
    }

    private static async Task<Figure> RestartAsync(Settings settings, string folder, UpstreamProcess upstream)
    {
        const double Bound = 1000;
        string requests = Path.Combine(folder, "dispatch.jsonl");
        SampleData.WriteRequests(requests, settings.Lines, BytesPerLine);
        double[] milliseconds = await Rounds.MediansAsync("restart to first new dispatch, ms", settings.Rounds, async () =>
        {
            using Service service = await Service.StartAsync(settings, folder, upstream.Address, Concurrency);
            await service.RunToAsync(await service.UploadAsync(requests), settings.Lines / 2);
            service.Kill();
            (long before, _) = await upstream.HeldAsync();
            long start = Stopwatch.GetTimestamp();
            Task restart = service.RestartAsync();
            while ((await upstream.HeldAsync()).Count == before)
            {
                await Task.Delay(s_poll);
            }

            double elapsed = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            await restart;
            return elapsed;
        });
        return Figure.AtMost(8, "restart after a kill, to the first new dispatch", milliseconds[0], Bound, "ms", 1,
            $"a batch of {settings.Lines:N0} lines, half done; the start of the process included; theirs is the bound");
    }
}
