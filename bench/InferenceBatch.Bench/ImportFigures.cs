using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>Figure 9: the time of Import-Module, compared with that of a binary module with one empty cmdlet.</summary>
internal static class ImportFigures
{
    private const string Name = "Import-Module, more than an empty binary module";
    private const double Bound = 60;

    public static async Task<IReadOnlyList<Figure>> MeasureAsync(Settings settings, string folder)
    {
        if (settings.PowerShell is null)
        {
            return [Figure.LeftOut(9, Name, "ms", "≤ 1", Settings.NoPowerShell)];
        }

        string empty = Path.Combine(folder, "Empty.dll");
        string script = Path.Combine(AppContext.BaseDirectory, "scripts", "import-module.ps1");
        string[] shell = [.. settings.PowerShell, "-NoProfile", "-NonInteractive", "-File", script];
        await Child.RunAsync([.. shell, "-MakeEmpty", empty]);
        async Task<double> MillisecondsAsync(string module) => (await Child.RunAsync<JsonElement>([.. shell, "-Module", module])).GetProperty("milliseconds").GetDouble();

        double[] milliseconds = await Rounds.MediansAsync(
            "module · empty module", settings.IsQuick ? 1 : 9, () => MillisecondsAsync(settings.Manifest), () => MillisecondsAsync(empty));
        return
        [
            Figure.AtMost(9, Name, milliseconds[0] - milliseconds[1], Bound, "ms", 1,
                $"{milliseconds[0]:0} ms and {milliseconds[1]:0} ms, fresh processes, a warm disk; theirs is the bound"),
        ];
    }
}
