using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Makes a rename or a new file in a folder survive a power cut: fsync of the folder, which Windows does not need. .NET
/// cannot open a folder, so this class uses the system calls directly (POSIX open, fsync, close).
/// </summary>
public static partial class FolderSync
{
    private const int ReadOnly = 0;

    /// <summary>Writes the entries of a folder to the disk.</summary>
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
            // Some file systems do not support fsync for folders and return EINVAL. Nothing can be done there.
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
