using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Makes a rename or a new file in a folder survive a power cut: fsync of the folder, which Windows does not need. .NET
/// opens no folder handles, so this is the system call itself (POSIX open, fsync, close).
/// </summary>
public static partial class FolderSync
{
    private const int ReadOnly = 0;

    /// <summary>Brings the names in a folder to the disk.</summary>
    /// <exception cref="FileUnwritableException">The folder cannot be opened.</exception>
    public static void Sync(string path)
    {
        if (!OperatingSystem.IsWindows())
        {
            SyncOnPosix(path);
        }
    }

    [UnsupportedOSPlatform("windows")]
    private static void SyncOnPosix(string path)
    {
        int handle = Open(path, ReadOnly);
        if (handle < 0)
        {
            throw new FileUnwritableException(path, new IOException(Messages.Text("FileUnwritable.FolderSync", Marshal.GetLastPInvokeError())));
        }

        try
        {
            // Some file systems have no fsync for folders and say EINVAL: there is nothing to do on them.
            _ = Fsync(handle);
        }
        finally
        {
            _ = Close(handle);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int handle);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int handle);
}
