using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Unicode;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>Converts a UTF-16 file to UTF-8 without a byte order mark. Memory use does not depend on the size of the file.</summary>
public static class Utf16Converter
{
    private const int BlockUnits = 64 * 1024;

    /// <summary>Converts a file. Only this user has access to the target, except on Windows.</summary>
    /// <param name="path">The file.</param>
    /// <param name="start">The encoding from <see cref="TextFileStart.Of(string)"/>.</param>
    /// <param name="target">The new file, which must not exist.</param>
    /// <exception cref="TextEncodingException">The file has text that UTF-8 cannot represent. The message has the line, counted from 1.</exception>
    /// <exception cref="FileUnwritableException">The target could not be written.</exception>
    /// <exception cref="IOException">The file could not be read.</exception>
    public static async Task ConvertAsync(string path, TextFileStart start, string target, CancellationToken cancellationToken = default)
    {
        var source = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1, FileOptions.Asynchronous | FileOptions.SequentialScan);
        await using (source.ConfigureAwait(false))
        {
            source.Position = start.MarkLength;
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None, Options = FileOptions.Asynchronous };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            DiskStream output = Disk.Open(target, options);
            await using (output.ConfigureAwait(false))
            {
                try
                {
                    await ConvertAsync(source, start.IsBigEndian, output, cancellationToken).ConfigureAwait(false);
                }
                catch (TextEncodingException exception)
                {
                    throw new TextEncodingException(Messages.Text("InvalidBatchFile.NotUtf8", path, exception.Message), exception);
                }
            }
        }
    }

    /// <summary>Converts a stream from its current position to its end.</summary>
    internal static async Task ConvertAsync(Stream source, bool isBigEndian, Stream output, CancellationToken cancellationToken)
    {
        byte[] units = new byte[BlockUnits * sizeof(char)];
        byte[] utf8 = new byte[BlockUnits * 3];
        int kept = 0;
        int line = 1;
        while (true)
        {
            int read = await source.ReadAtLeastAsync(units.AsMemory(kept), units.Length - kept, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            int filled = kept + read;
            bool isLast = filled < units.Length;
            (int consumed, int written) = Convert(units, filled, kept, isBigEndian, isLast, utf8, ref line);
            await output.WriteAsync(utf8.AsMemory(0, written), cancellationToken).ConfigureAwait(false);
            if (isLast)
            {
                return;
            }

            // Half a surrogate pair whose other half is in the next block. Its bytes are already in the order of this machine.
            kept = filled - consumed;
            units.AsSpan(consumed, kept).CopyTo(units);
        }
    }

    private static (int Consumed, int Written) Convert(
        byte[] units, int filled, int swapped, bool isBigEndian, bool isLast, byte[] utf8, ref int line)
    {
        Span<char> text = MemoryMarshal.Cast<byte, char>(units.AsSpan(0, filled));
        if (isBigEndian == BitConverter.IsLittleEndian)
        {
            Span<ushort> fresh = MemoryMarshal.Cast<char, ushort>(text[(swapped / sizeof(char))..]);
            BinaryPrimitives.ReverseEndianness(fresh, fresh);
        }

        OperationStatus status = Utf8.FromUtf16(text, utf8, out int read, out int written, replaceInvalidSequences: false, isFinalBlock: isLast);
        line += text[..read].Count('\n');
        if (status == OperationStatus.InvalidData)
        {
            throw new TextEncodingException(Messages.Text("InvalidBatchFile.HalfSurrogate", line));
        }

        return isLast && filled % sizeof(char) != 0
            ? throw new TextEncodingException(Messages.Text("InvalidBatchFile.HalfUnit", line))
            : (read * sizeof(char), written);
    }
}
