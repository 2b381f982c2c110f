using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace InferenceBatch.Results;

/// <summary>The table in docs/errors.md contains exactly the result codes that the module sets itself.</summary>
public sealed partial class ResultCodeTests
{
    private static readonly string s_root = Path.GetFullPath(Path.Combine(Folder(), "..", "..", ".."));

    [Fact]
    public void The_codes_in_the_source_match_the_table()
    {
        var codes = new SortedSet<string>(StringComparer.Ordinal);
        string[] sources = [.. Directory.GetFiles(Path.Combine(s_root, "src", "InferenceBatch.Core"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText)];
        string all = string.Concat(sources);
        foreach (string source in sources)
        {
            foreach (Match call in Call().Matches(source))
            {
                string code = FirstArgument(source[(call.Index + call.Length)..]);
                foreach (Match name in Constant().Matches(code))
                {
                    string pattern = $"""const string {name.Value} = ("[^"]*")""";
                    code += Regex.Match(Regex.IsMatch(source, pattern) ? source : all, pattern).Groups[1].Value;
                }

                codes.UnionWith(Literal().Matches(code).Select(literal => literal.Groups[1].Value.Replace("{code}", "NNN", StringComparison.Ordinal)));
            }
        }

        string section = File.ReadAllText(Path.Combine(s_root, "docs", "errors.md")).Split("## Codes of results")[1].Split("\n## ")[0];
        string[] listed = [.. Row().Matches(section).Select(row => row.Groups[1].Value)];
        Assert.True(listed.Length >= 10);
        Assert.Equal(codes, listed);
    }

    /// <summary>Returns the text up to the comma or bracket that ends the first argument.</summary>
    private static string FirstArgument(string text)
    {
        int depth = 0;
        bool isText = false;
        for (int i = 0; i < text.Length; i++)
        {
            isText ^= text[i] == '"';
            depth += isText ? 0 : text[i] switch { '(' or '[' or '{' => 1, ')' or ']' or '}' => -1, _ => 0 };
            if (depth < 0 || (depth == 0 && !isText && text[i] == ','))
            {
                return text[..i];
            }
        }

        return text;
    }

    [GeneratedRegex(@"\bnew ServiceError\(")]
    private static partial Regex Call();

    [GeneratedRegex(@"\b[A-Z]\w*Code\b")]
    private static partial Regex Constant();

    [GeneratedRegex("\"([^\"]*)\"")]
    private static partial Regex Literal();

    [GeneratedRegex(@"(?m)^\| `(\w+)` \|")]
    private static partial Regex Row();

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
