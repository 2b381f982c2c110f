using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace InferenceBatch;

/// <summary>The source files comply with the dependencies of folders in docs/architecture.md.</summary>
public sealed partial class LayerTests
{
    private static readonly string s_root = Path.GetFullPath(Path.Combine(Folder(), "..", ".."));

    /// <summary>Each folder with the namespaces that it may use, without the leading <c>InferenceBatch.</c>; a subfolder with a row of its own is not part of its parent.</summary>
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["src/InferenceBatch.Core/Model"] = [],
        ["src/InferenceBatch.Core/Http"] = ["Model"],
        ["src/InferenceBatch.Core/Wire"] = ["Model"],
        ["src/InferenceBatch.Core/Lines"] = ["Model", "Wire"],
        ["src/InferenceBatch.Core/Service"] = ["Model", "Http", "Wire", "Lines"],
        ["src/InferenceBatch.Core/Results"] = ["Model", "Http", "Wire", "Lines", "Service"],
        ["src/InferenceBatch.Core/Waiting"] = ["Model", "Http", "Service"],
        ["src/InferenceBatch.Core/Runs"] = ["Model", "Http", "Wire", "Lines", "Service", "Results", "Waiting"],
        ["src/InferenceBatch.Core/Webhooks"] = ["Model", "Wire"],
        ["src/InferenceBatch.Server"] = ["Server.Cli"],
        ["src/InferenceBatch.Server/Storage"] = ["Model", "Wire", "Lines"],
        ["src/InferenceBatch.Server/Diagnostics"] = [],
        ["src/InferenceBatch.Server/Dispatch/Upstreams"] = ["Model", "Http", "Wire", "Lines", "Server.Diagnostics"],
        ["src/InferenceBatch.Server/Statistics"] = ["Model", "Wire", "Lines", "Server.Dispatch.Upstreams"],
        ["src/InferenceBatch.Server/ResultFiles"] = ["Lines", "Server.Diagnostics", "Server.Statistics"],
        ["src/InferenceBatch.Server/Dispatch"] =
            ["Model", "Wire", "Lines", "Server.Diagnostics", "Server.Storage", "Server.Dispatch.Upstreams", "Server.Statistics", "Server.ResultFiles"],
        ["src/InferenceBatch.Server/Batches"] =
            [
                "Model", "Wire", "Lines", "Server.Diagnostics", "Server.Storage", "Server.Dispatch.Upstreams", "Server.Statistics", "Server.ResultFiles",
                "Server.Dispatch",
            ],
        ["src/InferenceBatch.Server/Webhooks"] = ["Webhooks", "Server.Diagnostics", "Server.Storage"],
        ["src/InferenceBatch.Server/Page"] = [],
        ["src/InferenceBatch.Server/Api"] =
            [
                "Model", "Wire", "Lines", "Server.Diagnostics", "Server.Storage", "Server.Dispatch.Upstreams", "Server.Statistics", "Server.ResultFiles",
                "Server.Batches", "Server.Webhooks", "Server.Page",
            ],
        ["src/InferenceBatch.Server/Cli"] =
            ["Model", "Wire", "Lines", "Webhooks", "Server.Storage", "Server.Dispatch.Upstreams", "Server.Batches", "Server.Webhooks", "Server.Api"],
        ["src/InferenceBatch/Binding"] = ["Model", "Wire", "Lines", "Runs"],
        ["src/InferenceBatch/Views"] = ["Model", "Wire", "Lines", "Results", "Runs", "Webhooks"],
        ["src/InferenceBatch/Session"] = ["Model", "Service", "Views"],
        ["src/InferenceBatch/LocalServer"] = ["Model", "Wire", "Lines", "Service", "Runs", "Binding"],
        ["src/InferenceBatch/Completion"] = ["Wire", "Lines", "Service", "Binding", "Session"],
        ["src/InferenceBatch/Cmdlets"] =
            ["Model", "Wire", "Lines", "Service", "Results", "Waiting", "Runs", "Webhooks", "Binding", "Views", "Session", "LocalServer", "Completion"],
        ["src/InferenceBatch/Commands"] =
            [
                "Model", "Http", "Wire", "Lines", "Service", "Results", "Runs", "Webhooks", "Binding", "Views", "Session", "LocalServer", "Completion",
                "Cmdlets",
            ],
    };

    /// <summary>The namespace of each type that has a file of its own, by the short name that code may use for it: folder and type.</summary>
    private static readonly ILookup<string, string> s_namespaces =
        (from folder in s_allowed.Keys
         from file in FilesOf(folder)
         select (Name: $"{folder.Split('/')[^1]}.{Path.GetFileNameWithoutExtension(file)}", Namespace: NamespaceOf(folder)))
        .ToLookup(type => type.Name, type => type.Namespace);

    public static TheoryData<string> Folders => [.. s_allowed.Keys];

    [Theory]
    [MemberData(nameof(Folders))]
    public void A_folder_uses_only_allowed_namespaces(string folder)
    {
        string own = NamespaceOf(folder);
        var violations =
            from file in FilesOf(folder)
            from used in NamespacesUsedBy(file)
            where used != own && !s_allowed[folder].Contains(used)
            select $"{Path.GetRelativePath(s_root, file)} uses {used}";
        Assert.Empty(violations.Distinct());
    }

    /// <summary>Code in a nested namespace can use the enclosing one without a <c>using</c>, which the other test does not notice.</summary>
    [Fact]
    public void Upstreams_do_not_use_the_dispatcher_around_them()
    {
        var types = FilesOf("src/InferenceBatch.Server/Dispatch").Select(file => Path.GetFileNameWithoutExtension(file)).ToHashSet();
        Assert.Contains("LineDispatcher", types);
        var violations =
            from file in FilesOf("src/InferenceBatch.Server/Dispatch/Upstreams")
            from Match word in Word().Matches(Comment().Replace(File.ReadAllText(file), ""))
            where types.Contains(word.Value)
            select $"{Path.GetFileName(file)} uses {word.Value}";
        Assert.Empty(violations.Distinct());
    }

    [Fact]
    public void Dependencies_of_folders_have_no_cycles()
    {
        var left = s_allowed.ToDictionary(row => NamespaceOf(row.Key), row => row.Value);
        while (left.FirstOrDefault(row => !row.Value.Any(left.ContainsKey)).Key is { } free)
        {
            left.Remove(free);
        }

        Assert.Empty(left.Keys);
    }

    [Fact]
    public void Each_folder_with_code_has_a_row()
    {
        string[] projects = ["src/InferenceBatch.Core", "src/InferenceBatch.Server", "src/InferenceBatch"];
        var folders =
            from project in projects
            from folder in Directory.GetDirectories(Path.Combine(s_root, project))
            where Directory.GetFiles(folder, "*.cs").Length > 0
            select Path.GetRelativePath(s_root, folder).Replace(Path.DirectorySeparatorChar, '/');
        Assert.Empty(folders.Except(s_allowed.Keys));
    }

    /// <summary>The namespaces in <c>using</c> lines and before the name of a type: <c>Wire.TextCut</c>.</summary>
    private static IEnumerable<string> NamespacesUsedBy(string file)
    {
        string code = Comment().Replace(File.ReadAllText(file), "");
        return Mention().Matches(code).Select(match => match.Groups["used"].Value)
            .Concat(Qualified().Matches(code).SelectMany(match => s_namespaces[match.Groups["name"].Value]));
    }

    private static string[] FilesOf(string folder)
    {
        string path = Path.Combine(s_root, folder);
        SearchOption depth = s_allowed.Keys.Any(key => key.StartsWith(folder + "/", StringComparison.Ordinal)) ? SearchOption.TopDirectoryOnly : SearchOption.AllDirectories;
        string[] files = Directory.GetFiles(path, "*.cs", depth);
        Assert.NotEmpty(files);
        return files;
    }

    /// <summary>Returns the namespace of a folder without the leading <c>InferenceBatch.</c></summary>
    private static string NamespaceOf(string folder)
    {
        string[] parts = folder.Split('/');
        string rest = string.Join('.', parts.Skip(2));
        return parts[1] == "InferenceBatch.Server" ? rest.Length == 0 ? "Server" : $"Server.{rest}" : rest;
    }

    [GeneratedRegex(@"\busing (static |\w+ = )?InferenceBatch\.(?<used>(Server\.)?\w+(\.Upstreams)?)\b")]
    private static partial Regex Mention();

    [GeneratedRegex(@"\b(?=(?<name>[A-Z]\w+\.[A-Z]\w+)\b)")]
    private static partial Regex Qualified();

    [GeneratedRegex(@"\b[A-Z]\w+\b")]
    private static partial Regex Word();

    [GeneratedRegex(@"//.*")]
    private static partial Regex Comment();

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
