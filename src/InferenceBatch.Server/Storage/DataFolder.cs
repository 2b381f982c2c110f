using System.Globalization;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The folder the service keeps everything in, held by one process at a time:
/// <c>batches.db</c> (records), <c>files/</c> (uploads and results), <c>batches/</c> (the logs of running batches),
/// <c>temp/</c> (files on their way in or out).
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private readonly FileStream _lock;

    private DataFolder(string path, FileStream @lock, bool isDurable)
    {
        Path = path;
        IsDurable = isDurable;
        _lock = @lock;
    }

    public string Path { get; }

    /// <summary>Whether what was said to be kept survives a power cut; false only to see what that costs.</summary>
    public bool IsDurable { get; }

    public string DatabasePath => System.IO.Path.Combine(Path, "batches.db");

    public string FilesPath => System.IO.Path.Combine(Path, "files");

    public string BatchesPath => System.IO.Path.Combine(Path, "batches");

    public string TempPath => System.IO.Path.Combine(Path, "temp");

    /// <summary>Makes the folder where it is missing, and takes it.</summary>
    /// <exception cref="DataFolderInUseException">Another process holds it.</exception>
    /// <exception cref="IOException">It cannot be made or written.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be made or written.</exception>
    public static DataFolder Open(string path, bool isDurable = true)
    {
        string full = System.IO.Path.GetFullPath(path);
        bool isNew = !Directory.Exists(System.IO.Path.Combine(full, "temp"));
        MakePrivate(full);
        var folder = new DataFolder(full, TakeLock(full), isDurable);
        MakePrivate(folder.FilesPath);
        MakePrivate(folder.BatchesPath);
        MakePrivate(folder.TempPath);
        if (isNew)
        {
            FolderSync.Sync(full);
        }

        return folder;
    }

    /// <summary>Makes a rename or a new file in a folder survive a power cut, where this folder is durable.</summary>
    public void Sync(string path)
    {
        if (IsDurable)
        {
            FolderSync.Sync(path);
        }
    }

    public void Dispose()
    {
        File.Delete(HolderPath(Path));
        _lock.Dispose();
    }

    private static FileStream TakeLock(string folder)
    {
        string path = System.IO.Path.Combine(folder, "lock");
        try
        {
            var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            // A file of its own: nobody can read one that is locked.
            File.WriteAllText(HolderPath(folder), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return stream;
        }
        catch (IOException) when (File.Exists(path))
        {
            throw new DataFolderInUseException(folder, ReadHolder(folder));
        }
    }

    private static string? ReadHolder(string folder)
    {
        try
        {
            return File.ReadAllText(HolderPath(folder)) is { Length: > 0 } id ? id : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string HolderPath(string folder) => System.IO.Path.Combine(folder, "process-id");

    /// <summary>Prompts and answers are nobody else's business: the owner alone may look in.</summary>
    public static void MakePrivate(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            const UnixFileMode OwnerAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(path, OwnerAlone);
            File.SetUnixFileMode(path, OwnerAlone); // One that was there already may have been open to others.
        }
    }
}
