namespace InferenceBatch.Server.Execution;

/// <summary>The files of a <see cref="FileRun"/>, as full paths.</summary>
internal sealed record FileRunPaths
{
    private const string PartialEnd = ".partial";

    public required string Input { get; init; }

    public required string Output { get; init; }

    public required string Errors { get; init; }

    public string Lock => Output + ".lock";

    /// <summary>Beside the input, unless they are named: <c>in.jsonl</c> gives <c>in.output.jsonl</c> and <c>in.errors.jsonl</c>.</summary>
    public static FileRunPaths Of(string input, string? output, string? errors)
    {
        string full = Path.GetFullPath(input);
        return new FileRunPaths
        {
            Input = full,
            Output = Path.GetFullPath(output ?? Path.ChangeExtension(full, ".output.jsonl")),
            Errors = Path.GetFullPath(errors ?? Path.ChangeExtension(full, ".errors.jsonl")),
        };
    }

    /// <summary>Where a result file stands now: under its own name once it is whole, before that as a partial one.</summary>
    public static string Current(string path) =>
        File.Exists(path) && !File.Exists(path + PartialEnd) ? path : path + PartialEnd;

    /// <summary>Leaves nothing behind of a run that did not begin.</summary>
    public void DeleteEmptyPartials()
    {
        foreach (string path in new[] { Output + PartialEnd, Errors + PartialEnd })
        {
            if (File.Exists(path) && new FileInfo(path).Length == 0)
            {
                File.Delete(path);
            }
        }
    }
}
