using System.Diagnostics;
using System.Globalization;

namespace InferenceBatch.Bench;

/// <summary>
/// Figure 11: the service, from create to completed, with upstreams that fail sometimes, have a quota, or queue excess requests. Each run
/// has a new upstream and a new service.
/// </summary>
internal static class FaultFigures
{
    private const int Number = 11;
    private const int BytesPerLine = 500;

    /// <summary>
    /// The same as in figures 5 to 7. With the higher limit of <c>auto</c>, the lines without faults take little more than a second, so a
    /// single <c>Retry-After: 1</c> near the end would determine the ratio.
    /// </summary>
    private const int Concurrency = 64;
    private const double LongestAgainstNoFaults = 1.5;
    private const double LeastUseOfQuota = 0.95;

    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder) =>
        [
            .. await FaultsAsync(settings, folder),
            .. await QuotaAsync(settings, folder, requestsPerSecond: 100, seconds: 30),
            .. await QuotaAsync(settings, folder, requestsPerSecond: 20, seconds: 20),
            .. await QueuesAsync(settings, folder),
        ];

    /// <summary>The cost of faults: some requests or lines fail, compared with the same lines without faults.</summary>
    private static async Task<IReadOnlyList<Figure>> FaultsAsync(Settings settings, string folder)
    {
        const int Latency = 40;
        (string Name, UpstreamTrouble Trouble, double Share)[] contestants =
        [
            ("no faults", UpstreamTrouble.None, 0),
            ("3 % of the lines get 500 once", UpstreamTrouble.FailsOnce, 0.03),
            ("3 % of the requests get 429 without Retry-After", UpstreamTrouble.Limited, 0.03),
            ("3 % of the requests get 429 with Retry-After: 1", UpstreamTrouble.LimitedWithRetryAfter, 0.03),
            ("4 % of the lines get 500 each time", UpstreamTrouble.FailsAlways, 0.04),
        ];
        int lines = settings.Lines / 10;
        string requests = WriteRequests(folder, lines);
        var last = new FaultRun[contestants.Length];
        var answersRight = contestants.Select(_ => true).ToArray();
        double[] seconds = await Rounds.MediansAsync(
            string.Join(" · ", contestants.Select(contestant => contestant.Name)) + ", s",
            settings.Rounds,
            [.. contestants.Select((contestant, i) => (Func<Task<double>>)(async () =>
            {
                last[i] = await RunAsync(settings, folder, requests, contestant.Trouble, Latency, contestant.Share, Concurrency);
                answersRight[i] &= last[i].Failed == (contestant.Trouble == UpstreamTrouble.FailsAlways ? last[i].Tally.FailingLines : 0);
                return last[i].Seconds;
            }))]);
        return
        [
            .. contestants.Select((contestant, i) => (contestant, i)).Skip(1).Select(one => Figure.AtMost(
                Number, $"faults: {one.contestant.Name}, against no faults", seconds[one.i], seconds[0], "s", LongestAgainstNoFaults,
                $"{lines:N0} lines of {Latency} ms, {Concurrency} in flight; {last[one.i].Describe()} in the last round")
                .Only(answersRight[one.i])),
        ];
    }

    /// <summary>How much of a steady quota is used. A quota of 20/s is lower than the rate of a single line in flight.</summary>
    private static async Task<IReadOnlyList<Figure>> QuotaAsync(Settings settings, string folder, int requestsPerSecond, int seconds)
    {
        const int Latency = 40;
        (string Name, UpstreamTrouble Trouble)[] contestants = [("429 without Retry-After", UpstreamTrouble.Quota), ("429 with Retry-After: 1", UpstreamTrouble.QuotaWithRetryAfter)];
        int lines = requestsPerSecond * (settings.IsQuick ? 5 : seconds);
        string requests = WriteRequests(folder, lines);
        var last = new FaultRun[contestants.Length];
        var failed = new int[contestants.Length];
        double[] rates = await Rounds.MediansAsync(
            $"quota of {requestsPerSecond}/s: {string.Join(" · ", contestants.Select(contestant => contestant.Name))}, answered lines/s",
            settings.IsQuick ? 1 : 3,
            [.. contestants.Select((contestant, i) => (Func<Task<double>>)(async () =>
            {
                last[i] = await RunAsync(settings, folder, requests, contestant.Trouble, Latency, requestsPerSecond, concurrency: null);
                failed[i] = Math.Max(failed[i], last[i].Failed);
                return (last[i].Completed - UpstreamTally.Burst) / last[i].Seconds;
            }))]);
        return
        [
            .. contestants.Select((contestant, i) => Figure.AtLeast(
                Number, $"quota of {requestsPerSecond} requests/s, {contestant.Name}", rates[i], requestsPerSecond, "lines/s", rates[i] / requestsPerSecond, LeastUseOfQuota,
                $"{lines:N0} lines of {Latency} ms, concurrency auto, a token bucket of {UpstreamTally.Burst} (not counted); {failed[i]} failed in the worst round, 0 are allowed; {last[i].Describe()} in the last round")
                .Only(failed[i] == 0)),
        ];
    }

    /// <summary>A server with an unbounded queue: the concurrency that the service reaches, and the cost of the queue.</summary>
    private static async Task<IReadOnlyList<Figure>> QueuesAsync(Settings settings, string folder)
    {
        const int Latency = 50;
        const double Tolerance = 0.334;
        const double LongestAgainstIdeal = 1.25;
        var figures = new List<Figure>();
        foreach (int slots in new[] { 2, 8, 64 })
        {
            int lines = slots * (settings.IsQuick ? 80 : 400);
            string requests = WriteRequests(folder, lines);
            var runs = new List<FaultRun>();
            double[] concurrency = await Rounds.MediansAsync($"{slots} slots, mean requests in flight after settling", settings.IsQuick ? 1 : 3, async () =>
            {
                runs.Add(await RunAsync(settings, folder, requests, UpstreamTrouble.Slots, Latency, slots, concurrency: null, "--request-timeout", "2s"));
                return runs[^1].Settled;
            });
            runs.Sort((one, other) => one.Seconds.CompareTo(other.Seconds));
            FaultRun median = runs[runs.Count / 2];
            double ideal = lines / (double)slots * median.Tally.AnswerSeconds / median.Tally.Answered;
            string note = $"{lines:N0} lines of {Latency} ms, concurrency auto, --request-timeout 2s; {runs.Max(run => run.Tally.CutOff)} requests cut off and {runs.Max(run => run.Failed)} lines failed in the worst round, 0 are allowed; {median.Describe()}";
            bool lostNothing = runs.All(run => run.Tally.CutOff == 0 && run.Failed == 0);
            figures.Add(Figure.Near(Number, $"queue: concurrency at a server of {slots} slots", concurrency[0], slots, "lines", Tolerance, note + "; the mean between half and nine tenths of the lines").Only(lostNothing));
            figures.Add(Figure.AtMost(Number, $"queue: time at a server of {slots} slots, against lines × latency ÷ slots", median.Seconds, ideal, "s", LongestAgainstIdeal, note).Only(lostNothing));
        }

        return figures;
    }

    private static string WriteRequests(string folder, int lines)
    {
        string requests = Path.Combine(folder, $"faults-{lines}.jsonl");
        SampleData.WriteRequests(requests, lines, BytesPerLine);
        return requests;
    }

    private static async Task<FaultRun> RunAsync(
        Settings settings, string folder, string requests, UpstreamTrouble trouble, int latency, double number, int? concurrency, params string[] more)
    {
        using FaultyUpstreamProcess upstream = await FaultyUpstreamProcess.StartAsync(trouble, latency, number);
        using Service service = await Service.StartAsync(settings, folder, upstream.Address, concurrency, more);
        string fileId = await service.UploadAsync(requests);
        int lines = File.ReadLines(requests).Count();
        long start = Stopwatch.GetTimestamp();
        Task<(int Completed, int Failed)> run = service.CountAsync(fileId);
        double settled = await SettledAsync(upstream, lines, run);
        (int completed, int failed) = await run;
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new FaultRun(lines, seconds, completed, failed, settled, await upstream.TallyAsync());
    }

    /// <summary>The mean number of requests in flight while the middle part of the lines is answered, or 0 if the run ends too early.</summary>
    private static async Task<double> SettledAsync(FaultyUpstreamProcess upstream, int lines, Task run)
    {
        UpstreamTally? half = null;
        while (!run.IsCompleted)
        {
            await Task.WhenAny(run, Task.Delay(100));
            UpstreamTally tally = await upstream.TallyAsync();
            if (half is not null && tally.Answered >= lines * 0.9)
            {
                return (tally.InFlightSeconds - half.InFlightSeconds) / (tally.Seconds - half.Seconds);
            }

            half ??= tally.Answered >= lines * 0.5 ? tally : null;
        }

        return 0;
    }

    private sealed record FaultRun(int Lines, double Seconds, int Completed, int Failed, double Settled, UpstreamTally Tally)
    {
        public string Describe() => string.Create(
            CultureInfo.InvariantCulture, $"{Tally.Requests:N0} requests, {Tally.Limited:N0} × 429, {Tally.Failed:N0} × 500, {Completed:N0} completed, {Failed:N0} failed");
    }
}
