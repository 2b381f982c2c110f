using System.Diagnostics;
using System.Globalization;

namespace InferenceBatch.Bench;

/// <summary>Figure 10: sends a million objects through the local service with an instant upstream, and joins a million results.</summary>
internal static class MillionFigures
{
    private const string Name = "a million objects in, a million results out";
    private const double MemoryBound = 300;
    private const int Concurrency = 64;
    private const int BytesPerLine = 500;

    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder)
    {
        string[] memory = [Name + ": PowerShell's memory", Name + ": the service's memory"];
        if (settings.PowerShell is null)
        {
            return [Figure.LeftOut(10, Name, "s", "≤ 1.5", Settings.NoPowerShell), .. memory.Select(name => Figure.LeftOut(10, name, "MB", "≤ 1", Settings.NoPowerShell))];
        }

        int rows = settings.Lines * 20;
        string requests = Path.Combine(folder, "rate.jsonl");
        SampleData.WriteRequests(requests, settings.Lines, BytesPerLine);
        (Child upstream, Uri address) = await Child.ServeAsync([Environment.ProcessPath!, "upstream", "0"]);
        using (upstream)
        using (Service service = await Service.StartAsync(settings, folder, address, Concurrency))
        {
            string fileId = await service.UploadAsync(requests);
            double seconds = 0;
            for (int round = 0; round < 2; round++)
            {
                // The second run is measured, because code is compiled during the first.
                long start = Stopwatch.GetTimestamp();
                await service.RunAsync(fileId, settings.Lines);
                seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }

            double theirs = seconds * rows / settings.Lines;
            MillionRun run = await Child.RunAsync<MillionRun>(
                [.. settings.PowerShell, "-NoProfile", "-NonInteractive", "-File", Path.Combine(AppContext.BaseDirectory, "scripts", "million.ps1"),
                "-Manifest", settings.Manifest, "-BaseUri", service.Address.AbsoluteUri, "-Rows", $"{rows}"]);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{rows:N0} rows: {run.Seconds:0.0} s, of which {run.SpoolSeconds:0.0} until the first upload; at the rate of one file {theirs:0.0} s"));
            if (run.Results != rows || run.Joined != rows)
            {
                throw new InvalidOperationException($"Expected {rows} results, each with its own row, but got {run.Results}, of which {run.Joined} have their own row.");
            }

            return
            [
                Figure.AtMost(10, Name, run.Seconds, theirs, "s", 1.5,
                    $"{rows:N0} rows generated in the pipeline, used one by one; theirs is {rows:N0} divided by the service's rate with one file of {settings.Lines:N0}"),
                Figure.AtMost(10, memory[0], run.PeakBytes / 1e6, MemoryBound, "MB", 1, "peak resident memory of the whole process; theirs is the bound"),
                Figure.AtMost(10, memory[1], service.PeakBytes / 1e6, MemoryBound, "MB", 1, "peak resident memory of the process; theirs is the bound"),
            ];
        }
    }

    /// <summary>The output of the script.</summary>
    /// <param name="Seconds">From the first row to the last result.</param>
    /// <param name="SpoolSeconds">From the first row to the last.</param>
    /// <param name="PeakBytes">The peak resident memory of the process.</param>
    /// <param name="Results">The number of results.</param>
    /// <param name="Joined">The number of results that were joined to the correct row.</param>
    private sealed record MillionRun(double Seconds, double SpoolSeconds, long PeakBytes, int Results, int Joined);
}
