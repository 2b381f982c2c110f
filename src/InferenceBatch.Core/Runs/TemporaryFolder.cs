using InferenceBatch.Lines;

namespace InferenceBatch.Runs;

/// <summary>
/// A folder of this user alone under the system's temporary files, deleted when it is disposed. It is locked by its
/// process; what a killed process left is deleted when the next folder is made.
/// </summary>
public sealed class TemporaryFolder : IDisposable
{
    private const string Prefix = "InferenceBatch-";

    private readonly FolderLock _lock;

    private TemporaryFolder(string path, FolderLock held) => (FullPath, _lock) = (path, held);

    public string FullPath { get; }

    /// <summary>Makes a folder.</summary>
    /// <exception cref="FileUnwritableException">The temporary files cannot be written.</exception>
    public static TemporaryFolder Create()
    {
        DeleteAbandoned();
        for (int attempt = 1; ; attempt++)
        {
            string path = Disk.Try(Path.GetTempPath(), () => Directory.CreateTempSubdirectory(Prefix).FullName);
            try
            {
                return new TemporaryFolder(path, FolderLock.Take(path, isTemporary: true));
            }
            catch (RunStoreInUseException) when (attempt < 5)
            {
                // Another process is looking at this moment whether the folder is abandoned, and leaves it.
            }
            catch
            {
                Delete(path);
                throw;
            }
        }
    }

    /// <summary>
    /// Deletes the folders of processes that were killed. Only what has this module's name and lock, and whose process
    /// no longer runs; everything else, of other users and of running processes, stays.
    /// </summary>
    public static void DeleteAbandoned()
    {
        try
        {
            var folders = new DirectoryInfo(Path.GetTempPath());
            foreach (DirectoryInfo folder in folders.EnumerateDirectories(Prefix + "*").Where(folder => folder.LinkTarget is null))
            {
                if (FolderLock.IsAbandoned(folder.FullName))
                {
                    Delete(folder.FullName);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The folder for temporary files cannot be listed: nothing to do here.
        }
    }

    public void Dispose()
    {
        _lock.Dispose();
        Delete(FullPath);
    }

    private static void Delete(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Held by another process, such as a virus scanner: left to the system's clean-up of temporary files.
        }
    }
}
