namespace InferenceBatch.Lines;

/// <summary>Looks at a file that somebody named: through symbolic links, which <see cref="FileInfo"/> does not.</summary>
public static class InputFile
{
    /// <summary>The file's own size and times, in place of a link's to it.</summary>
    /// <exception cref="FileNotFoundException">There is nothing of that name.</exception>
    /// <exception cref="IOException">The links go in a circle.</exception>
    public static FileInfo Info(string path) => new(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);
}
