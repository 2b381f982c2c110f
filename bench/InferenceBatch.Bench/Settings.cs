namespace InferenceBatch.Bench;

/// <summary>The options of the command line.</summary>
internal sealed record Settings
{
    public const string NoPowerShell = "there is no PowerShell 7.4 or later on the PATH; https://aka.ms/install-powershell";

    private const string Usage = "usage: [--results FILE] [--powershell COMMAND] [--figures 1,2,3] [--service FOLDER] [--quick]";

    /// <summary>The figures with the functions that measure them. The functions get a folder for their files.</summary>
    public static IReadOnlyList<(int Number, Func<Settings, string, Task<IReadOnlyList<Figure>>> Measure)> Measurements { get; } =
    [
        (1, CmdletFigures.BuildAsync),
        (2, ValidationFigures.MeasureAsync),
        (3, UploadFigures.MeasureAsync),
        (4, CmdletFigures.JoinAsync),
        (5, DispatchFigures.MeasureAsync),
        (6, DispatchFigures.SlowAsync),
        (7, DispatchFigures.DurabilityAsync),
        (8, LatencyFigures.MeasureAsync),
        (9, ImportFigures.MeasureAsync),
        (10, MillionFigures.MeasureAsync),
        (11, FaultFigures.MeasureAsync),
    ];

    /// <summary>The path of results.json; null to write no file.</summary>
    public string? ResultsPath { get; private init; }

    /// <summary>The command that runs PowerShell 7.4 or later; null if there is none.</summary>
    public string[]? PowerShell { get; private init; }

    public IReadOnlyList<int> Figures { get; private init; } = [.. Measurements.Select(measurement => measurement.Number)];

    /// <summary>Whether to use a twentieth of the lines and one round, which shows that everything runs, but not how fast.</summary>
    public bool IsQuick { get; private init; }

    public int Rounds => IsQuick ? 1 : 5;

    /// <summary>The number of lines of a full batch file.</summary>
    public int Lines => IsQuick ? 2_500 : 50_000;

    /// <summary>The repository root, where a build has created bin/.</summary>
    public string Root { get; private init; } = "";

    public string Manifest => Path.Combine(Root, "InferenceBatch.psd1");

    /// <summary>The folder of the service to measure; null for the build of this repository.</summary>
    public string? ServiceFolder { get; private init; }

    public string[] Service => ["dotnet", Path.Combine(ServiceFolder ?? Path.Combine(Root, "bin", "server"), "inference-batch.dll")];

    /// <exception cref="ArgumentException">The command line is not valid, or the module was not built.</exception>
    public static Settings Read(string[] arguments)
    {
        var settings = new Settings { Root = FindRoot(), PowerShell = Child.Find("pwsh") is { } found ? [found] : null };
        for (int i = 0; i < arguments.Length; i++)
        {
            string Value() => ++i < arguments.Length ? arguments[i] : throw new ArgumentException(Usage);
            settings = arguments[i] switch
            {
                "--results" => settings with { ResultsPath = Value() },
                "--powershell" => settings with { PowerShell = Value().Split(' ', StringSplitOptions.RemoveEmptyEntries) },
                "--figures" => settings with { Figures = [.. Value().Split(',').Select(Number)] },
                "--service" => settings with { ServiceFolder = Folder(Value()) },
                "--quick" => settings with { IsQuick = true },
                _ => throw new ArgumentException(Usage),
            };
        }

        return settings;
    }

    private static int Number(string text) =>
        int.TryParse(text, out int number) && Measurements.Any(measurement => measurement.Number == number) ? number : throw new ArgumentException(Usage);

    private static string Folder(string path) => File.Exists(Path.Combine(path, "inference-batch.dll"))
        ? Path.GetFullPath(path) : throw new ArgumentException($"There is no inference-batch.dll in {path}.");

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "InferenceBatch.sln")))
            {
                return File.Exists(Path.Combine(folder.FullName, "bin", "server", "inference-batch.dll")) ? folder.FullName
                    : throw new ArgumentException("The module is not built. Run ./build.sh build.");
            }
        }

        throw new ArgumentException("Run the bench from a folder in the repository.");
    }
}
