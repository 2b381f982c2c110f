using System.Runtime.InteropServices;
using System.Security.Cryptography;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// A file with the positions of the lines of a validated input file, so that a restart does not need to validate the input
/// again. If it is missing, damaged or belongs to another file, the input is validated again.
/// </summary>
internal static class LineIndex
{
    /// <summary>The index is written only from this number of lines: fewer lines are validated within milliseconds.</summary>
    private const int MinLines = 1000;

    /// <summary>The version of the format. Increase it when <see cref="RequestSpan"/> changes.</summary>
    private static ReadOnlySpan<byte> Layout => "lines 1"u8;

    /// <summary>Writes the index of a file that had this stamp before it was validated.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
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

    /// <summary>Reads the index of a file with this stamp; returns null if there is no valid index.</summary>
    /// <exception cref="IOException">The index cannot be read.</exception>
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
