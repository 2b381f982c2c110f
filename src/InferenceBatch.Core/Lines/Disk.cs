namespace InferenceBatch.Lines;

/// <summary>
/// Writes to the disk. A failure is a <see cref="FileUnwritableException"/>, which distinguishes it from a failure to read
/// another file.
/// </summary>
public static class Disk
{
    /// <summary>Opens a file for writing.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How to open it.</param>
    /// <param name="affectsWholeCommand">See <see cref="FileUnwritableException.AffectsWholeCommand"/>.</param>
    /// <exception cref="FileUnwritableException">The file cannot be created or must not be written.</exception>
    /// <exception cref="DirectoryNotFoundException">Its folder does not exist.</exception>
    public static DiskStream Open(string path, FileStreamOptions options, bool affectsWholeCommand = false) =>
        Try(path, () => new DiskStream(new FileStream(path, options), affectsWholeCommand), affectsWholeCommand);

    /// <summary>Creates a file that does not exist yet.</summary>
    /// <inheritdoc cref="Open"/>
    public static DiskStream Create(string path) =>
        Open(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 1 });

    /// <summary>Renames a file; replaces an existing one only if <paramref name="overwrite"/> is true.</summary>
    /// <exception cref="FileUnwritableException">The file cannot be renamed.</exception>
    public static void Move(string from, string to, bool overwrite) => Try(to, () =>
    {
        File.Move(from, to, overwrite);
        return to;
    });

    /// <summary>Runs an operation that writes to a path.</summary>
    /// <exception cref="FileUnwritableException">The operation failed.</exception>
    public static T Try<T>(string path, Func<T> write, bool affectsWholeCommand = false)
    {
        try
        {
            return write();
        }
        catch (Exception exception) when (IsWriteError(exception))
        {
            throw new FileUnwritableException(path, exception) { AffectsWholeCommand = affectsWholeCommand };
        }
    }

    /// <summary>Whether an exception means that a path cannot be written. A missing folder or file has an error of its own.</summary>
    internal static bool IsWriteError(Exception exception) => exception is UnauthorizedAccessException
        || (exception is IOException and not (FileUnwritableException or DirectoryNotFoundException or FileNotFoundException));
}
