using System.Globalization;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The data folder of the service, which only one process uses at a time: <c>batches.db</c> (records), <c>files/</c>
/// (uploads and results), <c>batches/</c> (result files of running batches), <c>temp/</c> (files that are being stored or
/// deleted).
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private const string DatabaseName = "batches.db";
    private const string LockName = "lock";
    private const string ProcessIdName = "process-id";
    private const string TemporarySuffix = ".part";

    private static readonly string[] s_folders = ["files", "batches", "temp"];

    private readonly FileStream _lock;

    private DataFolder(string path, FileStream @lock, bool isDurable)
    {
        Path = path;
        IsDurable = isDurable;
        _lock = @lock;
    }

    public string Path { get; }

    /// <summary>Whether stored data survives a power cut; false only for benchmarks of its cost.</summary>
    public bool IsDurable { get; }

    public string DatabasePath => System.IO.Path.Combine(Path, DatabaseName);

    public string FilesPath => System.IO.Path.Combine(Path, "files");

    public string BatchesPath => System.IO.Path.Combine(Path, "batches");

    public string TempPath => System.IO.Path.Combine(Path, "temp");

    /// <summary>Creates the folder if necessary, and locks it.</summary>
    /// <exception cref="IOException">Another process uses the folder, it cannot be created or written, or it has other contents.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be created or written.</exception>
    public static DataFolder Open(string path, bool isDurable = true)
    {
        string full = System.IO.Path.GetFullPath(path);
        RefuseOtherContents(full);
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
    /// Refuses a folder with contents other than data of the service, and leaves it unchanged, because the service would
    /// remove the permissions of other users and write to it. The remains of an interrupted first start are accepted.
    /// </summary>
    /// <exception cref="IOException">The folder has other contents.</exception>
    public static void RefuseOtherContents(string path)
    {
        var folder = new DirectoryInfo(path);
        if (!folder.Exists)
        {
            return;
        }

        FileSystemInfo[] entries = folder.GetFileSystemInfos();
        if (Array.Find(entries, entry => s_folders.Contains(entry.Name) && entry.LinkTarget is not null) is { } link)
        {
            throw new IOException($"'{link.FullName}' is a symbolic link. It must be a folder, because the service deletes files in it.");
        }

        if (!Array.Exists(entries, entry => entry.Name == DatabaseName) && Array.Find(entries, entry => !IsOwnEntry(entry)) is { } other)
        {
            throw new IOException($"'{path}' contains '{other.Name}', which does not belong to the data of this service. Use a new or empty folder with --data.");
        }
    }

    /// <summary>Returns a new path for a temporary file.</summary>
    public string NewTemporaryPath() => System.IO.Path.Combine(TempPath, $"{Guid.NewGuid():N}{TemporarySuffix}");

    /// <summary>Whether a file name was created by <see cref="NewTemporaryPath"/>.</summary>
    public static bool IsTemporary(string name) =>
        name.EndsWith(TemporarySuffix, StringComparison.Ordinal) && Guid.TryParseExact(name[..^TemporarySuffix.Length], "N", out _);

    /// <summary>Makes renames and new files in a folder survive a power cut, if <see cref="IsDurable"/>.</summary>
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
            File.Delete(ProcessIdPath(Path));
        }
        catch (DirectoryNotFoundException)
        {
            // The folder was moved or deleted.
        }

        _lock.Dispose();
    }

    /// <summary>Whether a folder without a database may contain this entry. A new file system has a lost+found.</summary>
    private static bool IsOwnEntry(FileSystemInfo entry) => entry switch
    {
        { LinkTarget: not null } => false,
        DirectoryInfo folder => folder.Name == "lost+found" || (s_folders.Contains(folder.Name) && folder.GetFileSystemInfos().Length == 0),
        FileInfo { Name: LockName } file => file.Length == 0,
        { Name: ProcessIdName } => File.Exists(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(entry.FullName)!, LockName)),
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
            string process = ReadProcessId(folder) is { } id ? $" (process {id})" : "";
            throw new IOException($"The data folder '{folder}' is in use by another inference-batch{process}. Stop that process, or use another folder with --data.");
        }

        try
        {
            // In a separate file, because the locked one cannot be read by others.
            File.WriteAllText(ProcessIdPath(folder), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    private static string? ReadProcessId(string folder)
    {
        try
        {
            return File.ReadAllText(ProcessIdPath(folder)) is { Length: > 0 } id ? id : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string ProcessIdPath(string folder) => System.IO.Path.Combine(folder, ProcessIdName);

    /// <summary>Creates a folder that only its owner can access, because it contains prompts and answers.</summary>
    public static void MakePrivate(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(path, OwnerOnly);
            File.SetUnixFileMode(path, OwnerOnly); // An existing folder may have been accessible to others.
        }
    }
}
