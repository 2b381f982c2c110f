using InferenceBatch.Lines;

namespace InferenceBatch.Runs;

/// <summary>
/// A private folder of this user in the system's folder for temporary files. It is deleted when it is disposed. Its process
/// locks it, and folders of killed processes are deleted when the next folder is created.
/// </summary>
public sealed class TemporaryFolder : IDisposable
{
    private const string Prefix = "InferenceBatch-";

    private readonly FolderLock _lock;

    private TemporaryFolder(string path, FolderLock folderLock) => (FullPath, _lock) = (path, folderLock);

    public string FullPath { get; }

    /// <summary>Creates a folder.</summary>
    /// <exception cref="FileUnwritableException">The folder for temporary files cannot be written.</exception>
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
                // Another process is checking whether this folder is abandoned, and has the lock for a moment.
            }
            catch
            {
                Delete(path);
                throw;
            }
        }
    }

    /// <summary>
    /// Deletes the folders of killed processes: those with the name and the lock file of this module whose process no longer
    /// runs. Folders of other users and of running processes are kept.
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
            // The folder for temporary files cannot be listed.
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
            // Another process, such as a virus scanner, uses the folder. The system's clean-up of temporary files deletes it.
        }
    }
}
