using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using InferenceBatch.Lines;

namespace InferenceBatch.Runs;

/// <summary>
/// The lock of a folder that one process works on: a file that is held open, so that the system releases it however the
/// process ends. A second file beside it says which process that is, for others to read.
/// </summary>
internal sealed class FolderLock : IDisposable
{
    /// <summary>The name of the file that is locked.</summary>
    public const string LockName = "lock";

    /// <summary>The name of the file that says who holds the lock.</summary>
    public const string OwnerName = "owner.json";

    private static readonly JsonSerializerOptions s_options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly FileStream _file;
    private readonly string _owner;

    private FolderLock(FileStream file, string folder) => (_file, _owner) = (file, Path.Combine(folder, OwnerName));

    /// <summary>Takes the lock of a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isTemporary">Whether nobody wants the folder when this process has ended.</param>
    /// <exception cref="RunStoreInUseException">Another process holds it.</exception>
    /// <exception cref="FileUnwritableException">The folder cannot be written.</exception>
    public static FolderLock Take(string folder, bool isTemporary = false)
    {
        FileStream file = Disk.Try(folder, () => Open(folder)) ?? throw new RunStoreInUseException(folder, OwnerOf(folder));
        var taken = new FolderLock(file, folder);
        try
        {
            Disk.Try(taken._owner, () =>
            {
                File.WriteAllBytes(taken._owner, JsonSerializer.SerializeToUtf8Bytes(LockOwner.ThisProcess with { IsTemporary = isTemporary }, s_options));
                return taken;
            });
            return taken;
        }
        catch
        {
            taken.Dispose();
            throw;
        }
    }

    /// <summary>Whether a temporary folder is one whose process was killed: its lock is free, and no such process runs.</summary>
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
            return false; // Another user's.
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
            // It only informs, and the next holder replaces it.
        }

        _file.Dispose();
    }

    /// <summary>Opens the lock file for this process alone; null when another process holds it.</summary>
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

    /// <summary>.NET has no exception type of its own for a file that another process has open, only the system's number.</summary>
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

/// <summary>The process that holds a lock.</summary>
/// <param name="ProcessId">Its id.</param>
/// <param name="StartedAt">When it started.</param>
/// <param name="Machine">The name of the machine it runs on.</param>
internal sealed record LockOwner(int ProcessId, DateTimeOffset StartedAt, string Machine)
{
    /// <summary>How much two readings of one process's start may differ: Linux counts it from the boot time, which a set clock moves.</summary>
    private static readonly TimeSpan s_tolerance = TimeSpan.FromMinutes(1);

    /// <summary>Whether nobody wants the folder when the process has ended; false for a checkpoint.</summary>
    public bool IsTemporary { get; init; }

    public static LockOwner ThisProcess { get; } = Create();

    /// <summary>Whether the process runs; true where that cannot be told from here.</summary>
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
