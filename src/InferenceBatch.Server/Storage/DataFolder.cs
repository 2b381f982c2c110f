using System.Globalization;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The folder the service keeps everything in, held by one process at a time:
/// <c>batches.db</c> (records), <c>files/</c> (uploads and results), <c>batches/</c> (the result files of running batches),
/// <c>temp/</c> (files on their way in or out).
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private const string DatabaseName = "batches.db";
    private const string LockName = "lock";
    private const string HolderName = "process-id";
    private const string TemporaryEnd = ".part";

    private static readonly string[] s_folders = ["files", "batches", "temp"];

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

    public string DatabasePath => System.IO.Path.Combine(Path, DatabaseName);

    public string FilesPath => System.IO.Path.Combine(Path, "files");

    public string BatchesPath => System.IO.Path.Combine(Path, "batches");

    public string TempPath => System.IO.Path.Combine(Path, "temp");

    /// <summary>Makes the folder where it is missing, and takes it.</summary>
    /// <exception cref="DataFolderInUseException">Another process holds it.</exception>
    /// <exception cref="IOException">It cannot be made or written, or is somebody's own.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be made or written.</exception>
    public static DataFolder Open(string path, bool isDurable = true)
    {
        string full = System.IO.Path.GetFullPath(path);
        RefuseForeign(full);
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

    /// <summary>
    /// Refuses a folder that holds something and no data of the service, untouched: the service would close it to others
    /// and write to it. What a first start that was cut short may have left is the service's.
    /// </summary>
    /// <exception cref="IOException">It is somebody's own.</exception>
    public static void RefuseForeign(string path)
    {
        var folder = new DirectoryInfo(path);
        if (!folder.Exists)
        {
            return;
        }

        FileSystemInfo[] entries = folder.GetFileSystemInfos();
        if (Array.Find(entries, entry => s_folders.Contains(entry.Name) && entry.LinkTarget is not null) is { } link)
        {
            throw new IOException($"'{link.FullName}' is a symbolic link: the service deletes files there, and wants folders of its own.");
        }

        if (!Array.Exists(entries, entry => entry.Name == DatabaseName) && Array.Find(entries, entry => !MayBeOurs(entry)) is { } foreign)
        {
            throw new IOException($"'{path}' holds something else than this service's data ('{foreign.Name}'). Name a new or an empty folder with --data.");
        }
    }

    /// <summary>A name for a file on its way in or out.</summary>
    public string NewTemporaryPath() => System.IO.Path.Combine(TempPath, $"{Guid.NewGuid():N}{TemporaryEnd}");

    /// <summary>Whether a file's name is one of <see cref="NewTemporaryPath"/>.</summary>
    public static bool IsTemporary(string name) =>
        name.EndsWith(TemporaryEnd, StringComparison.Ordinal) && Guid.TryParseExact(name[..^TemporaryEnd.Length], "N", out _);

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
        try
        {
            File.Delete(HolderPath(Path));
        }
        catch (DirectoryNotFoundException)
        {
            // Somebody has taken the folder away.
        }

        _lock.Dispose();
    }

    /// <summary>Whether something may stand in a folder whose database was not made yet; a new file system has its lost+found.</summary>
    private static bool MayBeOurs(FileSystemInfo entry) => entry switch
    {
        { LinkTarget: not null } => false,
        DirectoryInfo folder => folder.Name == "lost+found" || (s_folders.Contains(folder.Name) && folder.GetFileSystemInfos().Length == 0),
        FileInfo { Name: LockName } file => file.Length == 0,
        { Name: HolderName } => File.Exists(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(entry.FullName)!, LockName)),
        _ => entry.Name is "server.log" or "server.log.1" or "server.port",
    };

    private static FileStream TakeLock(string folder)
    {
        string path = System.IO.Path.Combine(folder, LockName);
        FileStream stream;
        try
        {
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException) when (File.Exists(path))
        {
            throw new DataFolderInUseException(folder, ReadHolder(folder));
        }

        try
        {
            // A file of its own: nobody can read one that is locked.
            File.WriteAllText(HolderPath(folder), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
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

    private static string HolderPath(string folder) => System.IO.Path.Combine(folder, HolderName);

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
