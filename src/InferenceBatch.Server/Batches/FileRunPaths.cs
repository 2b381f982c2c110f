namespace InferenceBatch.Server.Batches;

/// <summary>The files of a <see cref="FileRun"/>, as full paths.</summary>
internal sealed record FileRunPaths
{
    private const string PartialEnd = ".partial";
    private const string MendedEnd = ".mended";

    public required string Input { get; init; }

    public required string Output { get; init; }

    public required string Errors { get; init; }

    /// <summary>Held while a run works, one a result file: another run may share only one of them.</summary>
    public IEnumerable<string> Locks => [Output + ".lock", Errors + ".lock"];

    /// <summary>Every name that a run reads, writes or deletes.</summary>
    public IEnumerable<string> All =>
        [Input, .. Locks, .. new[] { Output, Errors }.SelectMany(path => new[] { path, path + MendedEnd, path + PartialEnd, path + PartialEnd + MendedEnd })];

    /// <summary>
    /// Beside the input, unless they are named: <c>in.jsonl</c> gives <c>in.output.jsonl</c> and <c>in.errors.jsonl</c>. The
    /// errors of a named output stand beside it: <c>out.jsonl</c> gives <c>out.errors.jsonl</c>.
    /// </summary>
    public static FileRunPaths Of(string input, string? output, string? errors)
    {
        string full = Path.GetFullPath(input);
        string besideInput = Path.ChangeExtension(full, ".errors.jsonl");
        if (output is null)
        {
            return new FileRunPaths { Input = full, Output = Path.ChangeExtension(full, ".output.jsonl"), Errors = Path.GetFullPath(errors ?? besideInput) };
        }

        output = Path.GetFullPath(output);
        return new FileRunPaths
        {
            Input = full,
            Output = output,
            Errors = errors is not null ? Path.GetFullPath(errors) : ErrorsOf(output, besideInput),
        };
    }

    /// <summary>Where a result file stands now: under its own name once it is whole, before that as a partial one.</summary>
    /// <exception cref="InvalidDataException">There are both: the end of the run could not give it its name.</exception>
    public static string Current(string path)
    {
        string partial = path + PartialEnd;
        return !File.Exists(path) ? partial : !File.Exists(partial) ? path
            : throw new InvalidDataException($"Both '{path}' and '{partial}' are there, and one may hold results that the other has not.");
    }

    /// <summary>
    /// The errors file of a named output. Earlier builds wrote it beside the input. A run that they began keeps
    /// it there, because its failed lines would be sent again otherwise.
    /// </summary>
    private static string ErrorsOf(string output, string besideInput)
    {
        const string End = ".jsonl";
        string own = (output.EndsWith(End, StringComparison.OrdinalIgnoreCase) ? output[..^End.Length] : output) + ".errors" + End;
        return Exists(output) && !Exists(own) && Exists(besideInput) ? besideInput : own;
    }

    private static bool Exists(string path) => File.Exists(path) || File.Exists(path + PartialEnd);

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
