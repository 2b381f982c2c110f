using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace InferenceBatch.Bench;

/// <summary>A row of the table. A figure that could not be measured has no numbers, and its note has the reason.</summary>
/// <param name="Number">The number of the figure, <c>figure</c> in results.json.</param>
/// <param name="Name">What was measured, and what it is compared with.</param>
/// <param name="Ours">Our median.</param>
/// <param name="Theirs">The median of the alternative, or the bound.</param>
/// <param name="Unit">The unit of both.</param>
/// <param name="Ratio">The ratio of the two. For an aim with ≥, it is inverted if necessary, so that more is better.</param>
/// <param name="Aim">Such as <c>≥ 12</c>.</param>
/// <param name="Met">Whether the ratio reaches the aim.</param>
/// <param name="Note">The conditions of the measurement.</param>
internal sealed record Figure(
    [property: JsonPropertyName("figure")] int Number,
    string Name,
    double? Ours,
    double? Theirs,
    string Unit,
    double? Ratio,
    string Aim,
    bool? Met,
    string Note)
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>A figure whose ratio must be at least the aim.</summary>
    public static Figure AtLeast(int number, string name, double ours, double theirs, string unit, double ratio, double aim, string note) =>
        new(number, name, Round(ours), Round(theirs), unit, Round(ratio), $"≥ {Text(aim)}", ratio >= aim, note);

    /// <summary>A figure whose ratio, ours divided by theirs, must be at most the aim.</summary>
    public static Figure AtMost(int number, string name, double ours, double theirs, string unit, double aim, string note) =>
        new(number, name, Round(ours), Round(theirs), unit, Round(ours / theirs), $"≤ {Text(aim)}", ours / theirs <= aim, note);

    /// <summary>A figure whose ratio, ours divided by theirs, must be 1 within a tolerance.</summary>
    public static Figure Near(int number, string name, double ours, double theirs, string unit, double tolerance, string note) =>
        new(number, name, Round(ours), Round(theirs), unit, Round(ours / theirs), $"1 ± {Text(tolerance)}", Math.Abs((ours / theirs) - 1) <= tolerance, note);

    /// <summary>Returns the figure, which is missed regardless of its ratio if the condition is false.</summary>
    public Figure Only(bool condition) => this with { Met = Met is true && condition };

    /// <summary>A figure that cannot be measured on this machine.</summary>
    public static Figure LeftOut(int number, string name, string unit, string aim, string why) =>
        new(number, name, null, null, unit, null, aim, null, "left out: " + why);

    public static void Print(IReadOnlyList<Figure> figures)
    {
        int width = figures.Max(figure => figure.Name.Length);
        Console.WriteLine();
        Console.WriteLine($"{"#",2}  {"figure".PadRight(width)}  {"ours",10}  {"theirs",10}  {"unit",-7}  {"ratio",7}  {"aim",-7}  {"met",-3}");
        foreach (Figure figure in figures)
        {
            Console.WriteLine(
                $"{figure.Number,2}  {figure.Name.PadRight(width)}  {Text(figure.Ours),10}  {Text(figure.Theirs),10}  {figure.Unit,-7}  "
                + $"{Text(figure.Ratio),7}  {figure.Aim,-7}  {figure.Met switch { true => "yes", false => "NO", null => "-" },-3}");
        }

        Console.WriteLine();
        foreach (Figure figure in figures.Where(figure => figure.Note.Length > 0))
        {
            Console.WriteLine($"{figure.Number,2}  {figure.Name}: {figure.Note}");
        }
    }

    public static void Write(IReadOnlyList<Figure> figures, string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        File.WriteAllText(path + ".tmp", JsonSerializer.Serialize(figures, s_json) + "\n");
        File.Move(path + ".tmp", path, overwrite: true);
    }

    private static double Round(double value) => Math.Round(value, value >= 1000 ? 0 : value >= 10 ? 1 : 3);

    private static string Text(double? value) => value?.ToString("#,0.###", CultureInfo.InvariantCulture) ?? "-";
}
