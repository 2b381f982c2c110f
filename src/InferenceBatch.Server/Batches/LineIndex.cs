using System.Runtime.InteropServices;
using System.Security.Cryptography;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// Where the lines of a checked input file stand, kept beside a running batch, so that a restart need not check the file
/// again. It is worth nothing by itself: where it is missing, torn or of another file, the input is checked as before.
/// </summary>
internal static class LineIndex
{
    /// <summary>Fewer are checked within some milliseconds.</summary>
    private const int MinLines = 1000;

    /// <summary>To be counted up when <see cref="RequestSpan"/> changes.</summary>
    private static ReadOnlySpan<byte> Layout => "lines 1"u8;

    /// <summary>Keeps the lines of a file that had this stamp before it was checked.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    public static void Write(string path, FileStamp stamp, RequestSpan[] spans)
    {
        if (spans.Length < MinLines)
        {
            return;
        }

        ReadOnlySpan<byte> content = MemoryMarshal.AsBytes<RequestSpan>(spans);
        using var file = new FileStream(path + ".new", FileMode.Create, FileAccess.Write, FileShare.None, 0);
        file.Write(Seal(stamp, content));
        file.Write(content);
        file.Close();
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>The lines that were kept of a file with this stamp; null where there are none to rely on.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static RequestSpan[]? Read(string path, FileStamp stamp)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        byte[] file = File.ReadAllBytes(path);
        ReadOnlySpan<byte> content = file.AsSpan(Math.Min(SHA256.HashSizeInBytes, file.Length));
        return file.AsSpan(0, file.Length - content.Length).SequenceEqual(Seal(stamp, content)) ? MemoryMarshal.Cast<byte, RequestSpan>(content).ToArray() : null;
    }

    public static void Delete(string path)
    {
        File.Delete(path);
        File.Delete(path + ".new");
    }

    private static byte[] Seal(FileStamp stamp, ReadOnlySpan<byte> content)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Layout);
        hash.AppendData(BitConverter.GetBytes(stamp.Length));
        hash.AppendData(BitConverter.GetBytes(stamp.WrittenAt.Ticks));
        hash.AppendData(content);
        return hash.GetHashAndReset();
    }
}
