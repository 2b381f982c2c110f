using System.Diagnostics;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.Execution;

/// <summary>
/// One of the two files of a <see cref="ResultLog"/>: lines are only ever added at its end, each by one write of the
/// system, so that after a crash at most the last line is torn.
/// </summary>
/// <remarks><see cref="Length"/> and <see cref="Lines"/> may be read at any time; all else under the log's lock.</remarks>
internal sealed class LogFile : IDisposable
{
    private static readonly byte[] s_lineStart = "{\"id\":\"batch_req_"u8.ToArray();

    private readonly SafeFileHandle _handle;
    private long _length;
    private long _lines;
    private long _syncedLength;
    private bool _isTorn;

    private LogFile(string path)
    {
        Path = path;
        _handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete);
    }

    public string Path { get; }

    /// <summary>Bytes of whole lines.</summary>
    public long Length => Interlocked.Read(ref _length);

    public long Lines => Interlocked.Read(ref _lines);

    /// <summary>Opens a log, or makes it; a torn last line is dropped, every other one is shown to <paramref name="onLine"/>.</summary>
    /// <exception cref="InvalidDataException">It holds a line that is no result line.</exception>
    public static LogFile Open(string path, Action<ReadOnlySpan<byte>> onLine)
    {
        var file = new LogFile(path);
        try
        {
            file.Recover(onLine);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Adds whole lines.</summary>
    /// <exception cref="IOException">Nothing was added; it can be tried again.</exception>
    public void Append(ReadOnlySpan<byte> wholeLines, int count)
    {
        try
        {
            if (_isTorn)
            {
                RandomAccess.SetLength(_handle, _length);
                _isTorn = false;
            }

            RandomAccess.Write(_handle, wholeLines, _length);
        }
        catch
        {
            _isTorn = true;
            throw;
        }

        Interlocked.Add(ref _length, wholeLines.Length);
        Interlocked.Add(ref _lines, count);
    }

    /// <summary>Returns once everything added is on the disk.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    public void Sync()
    {
        long length = Length;
        if (length != Interlocked.Read(ref _syncedLength))
        {
            long start = Stopwatch.GetTimestamp();
            RandomAccess.FlushToDisk(_handle);
            Meters.Sync.RecordSince(start);
            Interlocked.Exchange(ref _syncedLength, length);
        }
    }

    public void Dispose() => _handle.Dispose();

    /// <summary>
    /// Reads what is there. After a crash the last line may be cut off; after a power cut the lines since the last sync
    /// may be holes: from the first bad line on nothing is believed, and those lines are run again.
    /// </summary>
    private void Recover(Action<ReadOnlySpan<byte>> onLine)
    {
        using var stream = new FileStream(Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        using var reader = new LineReader(stream);
        while (reader.Read() && reader.IsTerminated && TryRead(reader.Line.Span, onLine))
        {
            _lines++;
            _length = reader.NextOffset;
        }

        _isTorn = RandomAccess.GetLength(_handle) != _length;
        if (_isTorn && !IsOwn(reader.Line.Span))
        {
            throw new InvalidDataException($"'{Path}' holds something else than results, at line {reader.Number}.");
        }
    }

    private static bool TryRead(ReadOnlySpan<byte> line, Action<ReadOnlySpan<byte>> onLine)
    {
        try
        {
            onLine(line);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Whether a bad line may be the rest of one of ours: nobody else's file may be cut.</summary>
    private static bool IsOwn(ReadOnlySpan<byte> line) =>
        line.StartsWith(s_lineStart) || s_lineStart.AsSpan().StartsWith(line) || line.IndexOfAnyExcept((byte)0) < 0;
}
