namespace InferenceBatch.Server.Batches;

/// <summary>The files of a <see cref="FileRun"/>, as full paths.</summary>
internal sealed record FileRunPaths
{
    private const string PartialSuffix = ".partial";
    private const string RepairedSuffix = ".mended";

    public required string Input { get; init; }

    public required string Output { get; init; }

    public required string Errors { get; init; }

    /// <summary>The lock files during a run, one for each result file, because another run may share only one of the two.</summary>
    public IEnumerable<string> Locks => [Output + ".lock", Errors + ".lock"];

    /// <summary>Every path that a run reads, writes or deletes.</summary>
    public IEnumerable<string> All =>
        [Input, .. Locks, .. new[] { Output, Errors }.SelectMany(path => new[] { path, path + RepairedSuffix, path + PartialSuffix, path + PartialSuffix + RepairedSuffix })];

    /// <summary>
    /// Returns the paths of a run. Unless they are specified, the result files are in the folder of the input:
    /// <c>in.output.jsonl</c> and <c>in.errors.jsonl</c> for <c>in.jsonl</c>. If only the output is specified, the errors file is
    /// in its folder: <c>out.errors.jsonl</c> for <c>out.jsonl</c>.
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

    /// <summary>Returns the current path of a result file: the final path if the file is complete, otherwise the partial path.</summary>
    /// <exception cref="InvalidDataException">Both files exist, because the partial file could not be renamed at the end of the run.</exception>
    public static string Current(string path)
    {
        string partial = path + PartialSuffix;
        return !File.Exists(path) ? partial : !File.Exists(partial) ? path
            : throw new InvalidDataException($"Both '{path}' and '{partial}' exist, and each may contain results that the other one does not contain.");
    }

    /// <summary>
    /// The errors file of a named output. Earlier builds wrote it to the folder of the input. A run that
    /// they started keeps it there, because its failed lines would be sent again otherwise.
    /// </summary>
    private static string ErrorsOf(string output, string besideInput)
    {
        const string Extension = ".jsonl";
        string own = (output.EndsWith(Extension, StringComparison.OrdinalIgnoreCase) ? output[..^Extension.Length] : output) + ".errors" + Extension;
        return Exists(output) && !Exists(own) && Exists(besideInput) ? besideInput : own;
    }

    private static bool Exists(string path) => File.Exists(path) || File.Exists(path + PartialSuffix);

    /// <summary>Deletes the empty files of a run that did not start.</summary>
    public void DeleteEmptyPartials()
    {
        foreach (string path in new[] { Output + PartialSuffix, Errors + PartialSuffix })
        {
            if (File.Exists(path) && new FileInfo(path).Length == 0)
            {
                File.Delete(path);
            }
        }
    }
}
