using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using InferenceBatch.Service;

namespace InferenceBatch.Bench;

/// <summary>Figure 3: uploads a full batch file to a service that discards it.</summary>
internal static class UploadFigures
{
    private const int BytesPerLine = 3_800;
    private const double MemoryBound = 16;
    private const string Name = "upload, against curl -F";
    private const string MemoryName = "upload: memory it adds";

    private static readonly string[] s_self = [Environment.ProcessPath!];

    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder)
    {
        string path = Path.Combine(folder, "upload.jsonl");
        SampleData.WriteRequests(path, settings.Lines, BytesPerLine);
        string megabytes = string.Create(CultureInfo.InvariantCulture, $"{new FileInfo(path).Length / 1e6:N0} MB");
        (Child sink, Uri address) = await Child.ServeAsync([.. s_self, "upstream", "0"]);
        using (sink)
        {
            var peaks = new List<double>();
            async Task<double> OursAsync()
            {
                Upload upload = await Child.RunAsync<Upload>([.. s_self, "upload", address.AbsoluteUri, path]);
                peaks.Add(upload.AddedBytes / 1e6);
                return upload.Seconds;
            }

            Task<double> TheirsAsync(string curl) => SecondsAsync(
                [curl, "--silent", "--fail", "-F", "purpose=batch", "-F", $"file=@{path}", new Uri(address, "files").AbsoluteUri]);

            Figure speed;
            if (Child.Find("curl") is { } curl)
            {
                double[] seconds = await Rounds.MediansAsync("client · curl", settings.Rounds, OursAsync, () => TheirsAsync(curl));
                speed = Figure.AtLeast(3, Name, seconds[0], seconds[1], "s", seconds[1] / seconds[0], 0.8,
                    $"{megabytes}, in the page cache; a fresh process each, curl's start included, ours (a .NET runtime's) not");
            }
            else
            {
                await OursAsync();
                speed = Figure.LeftOut(3, Name, "s", "≥ 0.8", "curl is not on the PATH.");
            }

            return [speed, Figure.AtMost(3, MemoryName, peaks.Max(), MemoryBound, "MB", 1, $"{megabytes}; by how much the peak resident memory of the process grew; theirs is the bound")];
        }
    }

    /// <summary>Uploads a file and prints time and memory as JSON. This runs in a separate process.</summary>
    public static async Task RunAsync(Uri address, string path)
    {
        var client = new BatchClient(new ServiceConnection(address, ServiceProfile.Generic, apiKey: null));
        long before = Peak();
        long start = Stopwatch.GetTimestamp();
        await client.UploadFileAsync(path, Path.GetFileName(path));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Console.WriteLine(JsonSerializer.Serialize(new Upload(seconds, Peak() - before), JsonSerializerOptions.Web));
    }

    private static long Peak()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    private static async Task<double> SecondsAsync(string[] command)
    {
        long start = Stopwatch.GetTimestamp();
        await Child.RunAsync(command);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private sealed record Upload(double Seconds, long AddedBytes);
}
