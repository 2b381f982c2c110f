using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using InferenceBatch.Lines;

namespace InferenceBatch.Runs;

/// <summary>
/// The lock of a folder that one process uses: a file that stays open, so that the system releases it however the process
/// ends. A second file beside it tells other processes which process that is.
/// </summary>
internal sealed class FolderLock : IDisposable
{
    /// <summary>The name of the file that is locked.</summary>
    public const string LockName = "lock";

    /// <summary>The name of the file that describes the process with the lock.</summary>
    public const string OwnerName = "owner.json";

    private static readonly JsonSerializerOptions s_options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly FileStream _file;
    private readonly string _owner;

    private FolderLock(FileStream file, string folder) => (_file, _owner) = (file, Path.Combine(folder, OwnerName));

    /// <summary>Takes the lock of a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isTemporary">Whether the folder may be deleted when this process has ended.</param>
    /// <exception cref="RunStoreInUseException">Another process has the lock.</exception>
    /// <exception cref="FileUnwritableException">The folder cannot be written.</exception>
    public static FolderLock Take(string folder, bool isTemporary = false)
    {
        FileStream file = Disk.Try(folder, () => Open(folder)) ?? throw new RunStoreInUseException(folder, OwnerOf(folder));
        var folderLock = new FolderLock(file, folder);
        try
        {
            Disk.Try(folderLock._owner, () =>
            {
                File.WriteAllBytes(folderLock._owner, JsonSerializer.SerializeToUtf8Bytes(LockOwner.ThisProcess with { IsTemporary = isTemporary }, s_options));
                return folderLock;
            });
            return folderLock;
        }
        catch
        {
            folderLock.Dispose();
            throw;
        }
    }

    /// <summary>Whether a folder is the temporary folder of a killed process: its lock is free, and the process no longer runs.</summary>
    public static bool IsAbandoned(string folder)
    {
        try
        {
            if (!File.Exists(Path.Combine(folder, LockName)) || OwnerOf(folder) is not { IsTemporary: true, IsRunning: false })
            {
                return false;
            }

            using FileStream? file = Open(folder);
            return file is not null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false; // The folder belongs to another user.
        }
    }

    public void Dispose()
    {
        try
        {
            File.Delete(_owner);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The file is only information, and the next process with the lock replaces it.
        }

        _file.Dispose();
    }

    /// <summary>Opens the lock file exclusively; returns null if another process has the lock.</summary>
    private static FileStream? Open(string folder)
    {
        try
        {
            return new FileStream(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
        }
        catch (IOException exception) when (IsSharingViolation(exception))
        {
            return null;
        }
    }

    /// <summary>Whether another process has the file open. .NET has no exception type for this, only the error number of the system.</summary>
    private static bool IsSharingViolation(IOException exception)
    {
        const int SharingViolation = 32, LockViolation = 33; // Windows
        const int WouldBlockOnLinux = 11, WouldBlockOnMacOS = 35;
        int number = exception.HResult & 0xFFFF;
        return OperatingSystem.IsWindows() ? number is SharingViolation or LockViolation : number is WouldBlockOnLinux or WouldBlockOnMacOS;
    }

    private static LockOwner? OwnerOf(string folder)
    {
        try
        {
            return JsonSerializer.Deserialize<LockOwner>(File.ReadAllBytes(Path.Combine(folder, OwnerName)), s_options);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }
}

/// <summary>The process that has a lock.</summary>
/// <param name="ProcessId">Its ID.</param>
/// <param name="StartedAt">When it started.</param>
/// <param name="Machine">The name of the machine it runs on.</param>
internal sealed record LockOwner(int ProcessId, DateTimeOffset StartedAt, string Machine)
{
    /// <summary>How far two readings of the start of the same process may differ. Linux computes it from the boot time, which changes when the clock is set.</summary>
    private static readonly TimeSpan s_tolerance = TimeSpan.FromMinutes(1);

    /// <summary>Whether the folder may be deleted when the process has ended; false for a checkpoint.</summary>
    public bool IsTemporary { get; init; }

    public static LockOwner ThisProcess { get; } = Create();

    /// <summary>Whether the process runs; true if that cannot be determined.</summary>
    [JsonIgnore]
    public bool IsRunning
    {
        get
        {
            if (Machine != Environment.MachineName)
            {
                return true;
            }

            try
            {
                using var process = Process.GetProcessById(ProcessId);
                return (process.StartTime.ToUniversalTime() - StartedAt.UtcDateTime).Duration() < s_tolerance;
            }
            catch (ArgumentException)
            {
                return false;
            }
            catch (Exception exception) when (exception is InvalidOperationException or System.ComponentModel.Win32Exception or NotSupportedException)
            {
                return true;
            }
        }
    }

    private static LockOwner Create()
    {
        using var process = Process.GetCurrentProcess();
        return new LockOwner(Environment.ProcessId, new DateTimeOffset(process.StartTime), Environment.MachineName);
    }
}
