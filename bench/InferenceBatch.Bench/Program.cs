using System.Globalization;
using InferenceBatch.Bench;

// The upstreams and the contestants are this same program in separate processes.
switch (args)
{
    case ["upstream", string milliseconds]:
        await Upstream.RunAsync(TimeSpan.FromMilliseconds(int.Parse(milliseconds, null)));
        return 0;
    case ["faulty", string trouble, string milliseconds, string number]:
        await FaultyUpstream.RunAsync(Enum.Parse<UpstreamTrouble>(trouble), TimeSpan.FromMilliseconds(int.Parse(milliseconds, null)), double.Parse(number, CultureInfo.InvariantCulture));
        return 0;
    case ["upload", string address, string path]:
        await UploadFigures.RunAsync(new Uri(address), path);
        return 0;
    case ["loop", string address, string requests, string lines, string concurrency]:
        await HttpClientLoop.RunAsync(new Uri(address), requests, int.Parse(lines, null), int.Parse(concurrency, null));
        return 0;
}

Settings settings;
try
{
    settings = Settings.Read(args);
}
catch (ArgumentException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 2;
}

string folder = Directory.CreateTempSubdirectory("inference-batch-bench-").FullName;
try
{
    var figures = new List<Figure>();
    foreach ((int number, Func<Settings, string, Task<IReadOnlyList<Figure>>> measure) in Settings.Measurements)
    {
        if (settings.Figures.Contains(number))
        {
            Console.WriteLine($"figure {number} …");
            figures.AddRange(await measure(settings, folder));
        }
    }

    Figure.Print(figures);
    if (settings.ResultsPath is { } path)
    {
        Figure.Write(figures, path);
        Console.WriteLine($"\nWritten to {path}.");
    }
}
finally
{
    Directory.Delete(folder, recursive: true);
}

return 0;
