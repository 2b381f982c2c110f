namespace InferenceBatch.Lines;

/// <summary>
/// Writes to the disk. What the system says against that is a <see cref="FileUnwritableException"/>, and so cannot be taken
/// for a failure to read something else.
/// </summary>
public static class Disk
{
    /// <summary>Opens a file for writing.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How to open it.</param>
    /// <param name="isOfWholeCommand">See <see cref="FileUnwritableException.IsOfWholeCommand"/>.</param>
    /// <exception cref="FileUnwritableException">It cannot be made, or may not be written.</exception>
    /// <exception cref="DirectoryNotFoundException">Its folder does not exist.</exception>
    public static DiskStream Open(string path, FileStreamOptions options, bool isOfWholeCommand = false) =>
        Try(path, () => new DiskStream(new FileStream(path, options), isOfWholeCommand), isOfWholeCommand);

    /// <summary>Makes a file that does not exist yet.</summary>
    /// <inheritdoc cref="Open"/>
    public static DiskStream Create(string path) =>
        Open(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 1 });

    /// <summary>Gives a file another name, under which one that is there already is replaced if that is allowed.</summary>
    /// <exception cref="FileUnwritableException">It cannot be given the name.</exception>
    public static void Move(string from, string to, bool overwrite) => Try(to, () =>
    {
        File.Move(from, to, overwrite);
        return to;
    });

    /// <summary>Does something that writes to a path.</summary>
    /// <exception cref="FileUnwritableException">The system refuses.</exception>
    public static T Try<T>(string path, Func<T> write, bool isOfWholeCommand = false)
    {
        try
        {
            return write();
        }
        catch (Exception exception) when (Refuses(exception))
        {
            throw new FileUnwritableException(path, exception) { IsOfWholeCommand = isOfWholeCommand };
        }
    }

    /// <summary>Whether an exception of a write says that it is not possible; a folder or file that is missing has an error of its own.</summary>
    internal static bool Refuses(Exception exception) => exception is UnauthorizedAccessException
        || (exception is IOException and not (FileUnwritableException or DirectoryNotFoundException or FileNotFoundException));
}
