using System.Diagnostics;
using System.Text.Json;
using InferenceBatch.Lines;

namespace InferenceBatch.Bench;

/// <summary>Figure 2: validates a full batch file, 50,000 lines and 190 MB.</summary>
internal static class ValidationFigures
{
    private const int BytesPerLine = 3_800;
    private const string Unit = "s";

    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder)
    {
        string path = Path.Combine(folder, "validate.jsonl");
        SampleData.WriteRequests(path, settings.Lines, BytesPerLine);
        string megabytes = $"{settings.Lines:N0} lines, {new FileInfo(path).Length / 1e6:N0} MB, in the page cache";

        // A warm-up run of both compiles the code and caches the file.
        Validate(path, settings.Lines);
        ReadBare(path);
        double[] processor = await Rounds.MediansAsync(
            "processor time: validator · bare Utf8JsonReader", settings.Rounds,
            () => ProcessorSeconds(() => Validate(path, settings.Lines)),
            () => ProcessorSeconds(() => ReadBare(path)));
        var bare = Figure.AtLeast(2, "validate, per core, against a bare Utf8JsonReader pass", processor[0], processor[1], Unit,
            processor[1] / processor[0], 0.8, megabytes + "; processor time of all threads; the bare pass reads every token and checks nothing else");

        if (Child.Find("jq") is not { } jq)
        {
            return [bare, Figure.LeftOut(2, "validate, against jq", Unit, "≥ 10", "jq is not on the PATH.")];
        }

        double[] elapsed = await Rounds.MediansAsync(
            "elapsed: validator · jq", settings.IsQuick ? 1 : 3,
            () => Seconds(() => Validate(path, settings.Lines)),
            () => JqAsync(jq, path));
        string version = (await Child.RunAsync([jq, "--version"])).Trim();
        return
        [
            bare,
            Figure.AtLeast(2, "validate, against jq", elapsed[0], elapsed[1], Unit, elapsed[1] / elapsed[0], 10,
                $"{megabytes}; {version}, 'jq empty FILE': it parses and checks nothing else"),
        ];
    }

    private static void Validate(string path, int lines)
    {
        BatchFileReport report = new FileValidator(new ValidationRules()).Validate(path);
        if (!report.IsValid || report.RequestCount != lines)
        {
            throw new InvalidOperationException($"The validator rejected a valid file: {report}");
        }
    }

    /// <summary>The minimum work to read a file as JSON: its blocks through one reader, token by token.</summary>
    private static void ReadBare(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
        byte[] buffer = new byte[128 * 1024];
        var state = new JsonReaderState(new JsonReaderOptions { AllowMultipleValues = true });
        int kept = 0;
        int read;
        do
        {
            read = stream.Read(buffer, kept, buffer.Length - kept);
            var reader = new Utf8JsonReader(buffer.AsSpan(0, kept + read), isFinalBlock: read == 0, state);
            while (reader.Read())
            {
            }

            state = reader.CurrentState;
            int used = (int)reader.BytesConsumed;
            kept += read - used;
            buffer.AsSpan(used, kept).CopyTo(buffer);
        }
        while (read > 0);
    }

    private static async Task<double> JqAsync(string jq, string path)
    {
        long start = Stopwatch.GetTimestamp();
        await Child.RunAsync([jq, "empty", path]);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static Task<double> Seconds(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Task.FromResult(Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    private static Task<double> ProcessorSeconds(Action work)
    {
        TimeSpan start = Environment.CpuUsage.TotalTime;
        work();
        return Task.FromResult((Environment.CpuUsage.TotalTime - start).TotalSeconds);
    }
}
