namespace InferenceBatch.Lines;

/// <summary>Properties of a file that the user named. Symbolic links are followed, in contrast to <see cref="FileInfo"/>.</summary>
public static class InputFile
{
    /// <summary>Returns the size and times of the file; for a link, those of its target.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="IOException">The links form a cycle.</exception>
    public static FileInfo Info(string path) => new(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);
}
