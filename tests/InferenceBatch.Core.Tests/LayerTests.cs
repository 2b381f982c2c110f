using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace InferenceBatch;

/// <summary>Who may know whom, read off the sources' using lines (docs/architecture.md).</summary>
public sealed partial class LayerTests
{
    private static readonly string s_root = Path.GetFullPath(Path.Combine(Folder(), "..", ".."));

    public static TheoryData<string, string[]> Rooms => new()
    {
        { "src/InferenceBatch.Core/Model", [] },
        { "src/InferenceBatch.Core/Http", [] },
        { "src/InferenceBatch.Core/Wire", ["Model"] },
        { "src/InferenceBatch.Core/Lines", ["Model", "Wire"] },
        { "src/InferenceBatch.Core/Service", ["Model", "Http", "Wire", "Lines"] },
        { "src/InferenceBatch.Core/Results", ["Model", "Http", "Wire", "Lines", "Service"] },
        { "src/InferenceBatch.Core/Waiting", ["Model", "Http", "Wire", "Service"] },
        { "src/InferenceBatch.Core/Runs", ["Model", "Http", "Wire", "Lines", "Service", "Results", "Waiting"] },
        { "src/InferenceBatch.Core/Webhooks", ["Model", "Wire"] },
        { "src/InferenceBatch.Server/Storage", ["Model", "Wire", "Lines"] },
        { "src/InferenceBatch.Server/Diagnostics", [] },
        { "src/InferenceBatch.Server/Dispatch/Upstreams", ["Model", "Http", "Wire", "Lines", "Server.Diagnostics"] },
        { "src/InferenceBatch.Server/Statistics", ["Model", "Wire", "Lines", "Server.Dispatch.Upstreams"] },
        { "src/InferenceBatch.Server/ResultFiles", ["Lines", "Server.Diagnostics", "Server.Statistics"] },
        { "src/InferenceBatch.Server/Dispatch", ["Model", "Http", "Wire", "Lines", "Server.Diagnostics", "Server.Storage", "Server.Dispatch.Upstreams", "Server.Statistics", "Server.ResultFiles"] },
        { "src/InferenceBatch.Server/Batches", ["Model", "Wire", "Lines", "Server.Diagnostics", "Server.Storage", "Server.Dispatch", "Server.Statistics", "Server.ResultFiles"] },
        { "src/InferenceBatch.Server/Webhooks", ["Webhooks", "Server.Diagnostics", "Server.Storage"] },
        { "src/InferenceBatch.Server/Page", [] },
        { "src/InferenceBatch.Server/Api", ["Model", "Wire", "Lines", "Server.Page", "Server.Diagnostics", "Server.Storage", "Server.Dispatch", "Server.Statistics", "Server.ResultFiles", "Server.Batches", "Server.Webhooks"] },
        { "src/InferenceBatch.Server/Cli", ["Model", "Wire", "Lines", "Webhooks", "Server.Storage", "Server.Dispatch.Upstreams", "Server.Batches", "Server.Webhooks", "Server.Api"] },
        { "src/InferenceBatch", ["Model", "Http", "Wire", "Lines", "Service", "Results", "Waiting", "Runs", "Webhooks", "Commands", "Cmdlets", "Completion", "LocalServer", "Session", "Binding", "Views"] },
    };

    [Theory]
    [MemberData(nameof(Rooms))]
    public void A_room_knows_only_those_it_may(string folder, string[] allowed)
    {
        string[] files = Directory.GetFiles(Path.Combine(s_root, folder), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        string own = folder.Contains("Core/", StringComparison.Ordinal) ? folder.Split('/')[^1] : "";
        var strangers =
            from file in files
            where !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)
            from Match match in Mention().Matches(File.ReadAllText(file))
            let room = match.Groups["room"].Value
            where room != own && !allowed.Any(name => room == name || room.StartsWith(name + ".", StringComparison.Ordinal))
            select $"{Path.GetRelativePath(s_root, file)} knows {room}";
        Assert.Empty(strangers.Distinct());
    }

    [GeneratedRegex(@"using (static )?InferenceBatch\.(?<room>[\w.]+);")]
    private static partial Regex Mention();

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
