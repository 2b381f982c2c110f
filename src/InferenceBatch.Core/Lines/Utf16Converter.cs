using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Unicode;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>Writes a UTF-16 file as UTF-8 without a byte order mark, in memory that does not grow with it.</summary>
public static class Utf16Converter
{
    private const int UnitsAtOnce = 64 * 1024;

    /// <summary>Converts a file; the target is created, for this user alone where the system can do that.</summary>
    /// <param name="path">The file.</param>
    /// <param name="start">What <see cref="TextFileStart.Of(string)"/> said of it.</param>
    /// <param name="target">Must not exist.</param>
    /// <exception cref="TextEncodingException">It holds what UTF-8 cannot carry; the message names the line, counted from 1.</exception>
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

    /// <summary>Converts a stream from its present position to its end.</summary>
    internal static async Task ConvertAsync(Stream source, bool isBigEndian, Stream output, CancellationToken cancellationToken)
    {
        byte[] units = new byte[UnitsAtOnce * sizeof(char)];
        byte[] utf8 = new byte[UnitsAtOnce * 3];
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

            // Half a pair whose other half comes with the next block; its bytes are in this machine's order already.
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
