using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Compares docs/service.md, docs/local-servers.md and packaging/ with the program.</summary>
public sealed partial class DocumentTests
{
    private static readonly string s_root = Path.GetFullPath(Path.Combine(Folder(), "..", ".."));

    [Fact]
    public async Task The_document_has_every_option_with_its_default()
    {
        (_, string help, _) = await ServerProcess.RunAsync(["serve", "--help"]);
        Dictionary<string, string> options = HelpOption().Matches(help).ToDictionary(match => match.Groups[1].Value, match => DefaultOf(match.Groups[2].Value));
        // The default folder depends on the user.
        options["--data"] = "the user's state folder";
        Assert.Equal(15, options.Count);
        Assert.Equal(options, PageOption().Matches(Read("docs/service.md")).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value.Trim().Trim('`')));
    }

    [Theory]
    [InlineData("packaging/inference-batch.service")]
    [InlineData("packaging/Containerfile")]
    [InlineData("docs/service.md")]
    [InlineData("docs/local-servers.md")]
    public async Task Mentioned_options_and_variables_exist(string path)
    {
        (_, string help, _) = await ServerProcess.RunAsync(["serve", "--help"]);
        string[] named = [.. Variable().Matches(Read(path)).Select(match => match.Value).Distinct()];
        Assert.NotEmpty(named);
        Assert.All(named, name => Assert.Contains($"[env: {name}", help, StringComparison.Ordinal));
        foreach (Match line in ServeLine().Matches(Read(path)))
        {
            Assert.All(Option().Matches(line.Value).Select(match => match.Value), name => Assert.Contains($"  {name} ", help, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void The_document_has_every_instrument()
    {
        var published = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name == Meters.Name)
                {
                    published.Add(instrument.Name);
                }
            },
        };
        Meters.AddWaiting(0);
        listener.Start();
        Assert.NotEmpty(published);
        Assert.Equal(published.Order(), Instrument().Matches(Read("docs/service.md")).Select(match => match.Groups[1].Value).Order());
    }

    private static string DefaultOf(string description) => Default().Match(description) is { Success: true } match ? match.Groups[1].Value : "";

    private static string Read(string path) => File.ReadAllText(Path.Combine(s_root, path));

    [GeneratedRegex(@"^  (--[a-z-]+)(.*)$", RegexOptions.Multiline)]
    private static partial Regex HelpOption();

    [GeneratedRegex(@"Default: (.*?)\. \[env:")]
    private static partial Regex Default();

    [GeneratedRegex(@"^\| `(--[a-z-]+)` \|([^|]*)\|", RegexOptions.Multiline)]
    private static partial Regex PageOption();

    [GeneratedRegex("INFERENCE_BATCH_[A-Z_]*[A-Z]")]
    private static partial Regex Variable();

    [GeneratedRegex("inference-batch serve.*")]
    private static partial Regex ServeLine();

    [GeneratedRegex("--[a-z-]+")]
    private static partial Regex Option();

    [GeneratedRegex(@"^\| `(inference_batch\.[a-z_.]+)`", RegexOptions.Multiline)]
    private static partial Regex Instrument();

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
