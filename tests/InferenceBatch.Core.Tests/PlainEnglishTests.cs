using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace InferenceBatch;

/// <summary>The texts that users read contain none of the phrases that "Write plain English" in CONTRIBUTING.md replaces.</summary>
public sealed partial class PlainEnglishTests
{
    private const int ContextLength = 50;

    private static readonly string s_root = Path.GetFullPath(Path.Combine(Folder(), "..", ".."));

    /// <summary>A pattern for each phrase, what to write instead, and a sentence that has the phrase.</summary>
    private static readonly (Regex Phrase, string Instead, string Sample)[] s_phrases =
    [
        (IsNo(), "is not a valid …, must be …", "'batch 1' is no id."),
        (IsWanted(), "must be …, is expected, is required", "Seconds, 0 or more, are wanted."),
        (GoesOn(), "continues, resumes", "The same command goes on with it."),
        (IsNone(), "is not a valid …, is not one of …", "Line 3 of what the service sent as results is none."),
        (ThatIsNoneOf(), "was not written by …, is not one of …", "The folder holds a journal that is none of a run."),
        (StandsTwice(), "appears more than once", "The custom_id 'a' stands twice in -Request."),
        (CameTo(), "the result, how it ended", "Get-BatchResult has what it came to."),
        (NotTheOneOf(), "differs from the … of", "Request 3 is not the one of the checkpoint."),
        (NoMore(), "is no longer a …", "What came out of a job is a BatchResult no more."),
        (IsToBeHad(), "exists, is available", "The list of batches is not to be had."),
        (PlanOfTheHouse(), "the architecture, the folders", "The plan of the house is in docs/architecture.md."),
        (AtNoAttempt(), "without using an attempt", "The line waits, at no attempt."),
        (BoughtAgain(), "is paid for again", "Nothing is bought again."),
        (TriedAgain(), "is retried", "A refused line is tried again."),
        (NothingInBetween(), "directly", "The bytes go to the disk with nothing in between."),
        (AsItStands(), "unchanged, as it is now", "Each script runs from a clone as it stands."),
        (MayPass(), "a temporary reason", "It sends again what failed for a reason that may pass."),
        (Nobody(), "you, the user, or name the program", "A file that nobody needs is deleted."),
    ];

    public static TheoryData<string> Phrases => [.. s_phrases.Select(phrase => phrase.Sample)];

    public static TheoryData<string> Documents =>
    [
        .. Directory.GetFiles(Path.Combine(s_root, "docs"), "*.md", SearchOption.AllDirectories).Select(Relative).Order(StringComparer.Ordinal),
        "docs/openapi.yaml", "README.md", "CHANGELOG.md", "examples/README.md", "findings/README.md", "bench/README.md",
    ];

    public static TheoryData<string> Projects => ["src/InferenceBatch.Core", "src/InferenceBatch", "src/InferenceBatch.Server"];

    [Theory]
    [MemberData(nameof(Phrases))]
    public void A_phrase_is_found(string sample) => Assert.Equal(
        s_phrases.Single(phrase => phrase.Sample == sample).Instead, Assert.Single(Found(sample)).Instead);

    [Theory]
    [InlineData("There is no file 'a.jsonl'.")]
    [InlineData("If there is none, use Start-BatchServer.")]
    [InlineData("'a' is not a valid ID. It must be a number of seconds, 0 or more.")]
    [InlineData("The line has no body, and one more is no longer in flight.")]
    [InlineData("Run the command again to send these rows again.")]
    public void Plain_English_is_not(string sample) => Assert.Empty(Found(sample));

    [Fact]
    public void Messages_are_plain_English()
    {
        var messages = XDocument.Load(Path.Combine(s_root, "src/InferenceBatch.Core/Messages.resx")).Root!.Elements("data").ToList();
        Assert.NotEmpty(messages);
        AssertNone(
            from message in messages
            from found in Found(message.Element("value")!.Value)
            select $"{message.Attribute("name")!.Value}: {found}");
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void A_document_is_plain_English(string path) => AssertNone(Found(File.ReadAllText(Path.Combine(s_root, path))).Select(found => $"{found}"));

    /// <summary>Reads the code without its comments: outside a literal, no code has such a phrase.</summary>
    [Theory]
    [MemberData(nameof(Projects))]
    public void The_literals_of_a_project_are_plain_English(string project)
    {
        string[] files = Directory.GetFiles(Path.Combine(s_root, project), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        AssertNone(
            from file in files
            where !Relative(file).Split('/').Any(folder => folder is "obj" or "bin")
            from found in Found(Comment().Replace(File.ReadAllText(file), ""))
            select $"{Relative(file)}: {found}");
    }

    /// <summary>Each phrase of a text, with the words around it; a line break counts as a space.</summary>
    private static IEnumerable<Finding> Found(string text)
    {
        string line = WhiteSpace().Replace(text, " ");
        return
            from phrase in s_phrases
            from Match match in phrase.Phrase.Matches(line)
            let start = Math.Max(0, match.Index - ContextLength)
            let end = Math.Min(line.Length, match.Index + match.Length + ContextLength)
            select new Finding(match.Value, phrase.Instead, line[start..end]);
    }

    /// <summary>Lists everything that was found; Assert.Empty shows only the first few.</summary>
    private static void AssertNone(IEnumerable<string> findings)
    {
        string all = string.Join('\n', findings);
        Assert.True(all.Length == 0, all);
    }

    private static string Relative(string path) => Path.GetRelativePath(s_root, path).Replace(Path.DirectorySeparatorChar, '/');

    private sealed record Finding(string Phrase, string Instead, string Context)
    {
        public override string ToString() => $"instead of '{Phrase}' write: {Instead} (…{Context}…)";
    }

    [GeneratedRegex(@"(?<![Tt]here )\b(is|are) no (id|ID|number|file|address|request|path|duration|step|prefix|image|object|array|host|name|JSON|price|provider|option)s?\b")]
    private static partial Regex IsNo();

    [GeneratedRegex(@"\b(is|are) wanted\b")]
    private static partial Regex IsWanted();

    [GeneratedRegex(@"\b([Gg]o|goes|going|gone|went) on\b")]
    private static partial Regex GoesOn();

    [GeneratedRegex(@"(?<!([Tt]here|that) )\b(is|are) none\b")]
    private static partial Regex IsNone();

    [GeneratedRegex(@"\b([Tt]hat|[Tt]here) (is|are) none of\b|\bthat (is|are) none\b(?! of)")]
    private static partial Regex ThatIsNoneOf();

    [GeneratedRegex(@"\bstands? twice\b")]
    private static partial Regex StandsTwice();

    [GeneratedRegex(@"\bcame to\b")]
    private static partial Regex CameTo();

    [GeneratedRegex(@"\bnot the one of\b")]
    private static partial Regex NotTheOneOf();

    [GeneratedRegex(@"\bno more[.,;]")]
    private static partial Regex NoMore();

    [GeneratedRegex(@"\bto be had\b|\bcan(not)? be had\b")]
    private static partial Regex IsToBeHad();

    [GeneratedRegex(@"\bplan of the house\b")]
    private static partial Regex PlanOfTheHouse();

    [GeneratedRegex(@"\bat no attempt\b")]
    private static partial Regex AtNoAttempt();

    [GeneratedRegex(@"\bbought again\b")]
    private static partial Regex BoughtAgain();

    [GeneratedRegex(@"\b(tried|asked) again\b")]
    private static partial Regex TriedAgain();

    [GeneratedRegex(@"\bnothing in between\b")]
    private static partial Regex NothingInBetween();

    [GeneratedRegex(@"\bas (it stands|they stand)\b")]
    private static partial Regex AsItStands();

    [GeneratedRegex(@"\bthat may pass\b")]
    private static partial Regex MayPass();

    [GeneratedRegex(@"\b([Nn]o|[Ss]ome|[Aa]ny)body\b")]
    private static partial Regex Nobody();

    [GeneratedRegex(@"(?m)(?<=^|\s)//.*$")]
    private static partial Regex Comment();

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
