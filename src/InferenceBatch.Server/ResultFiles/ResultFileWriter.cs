using System.Diagnostics;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>
/// One of the two files of a <see cref="ResultFilePair"/>: lines are only ever added at its end, whole ones by one write
/// of the system, so that after a crash at most the last line is torn.
/// </summary>
/// <remarks>Safe for several threads.</remarks>
internal sealed class ResultFileWriter : IDisposable
{
    private static readonly byte[] s_lineStart = "{\"id\":\"batch_req_"u8.ToArray();

    private readonly Lock _gate = new();
    private readonly SafeFileHandle _handle;
    private readonly Action<SafeFileHandle> _flush;
    private long _length;
    private long _lines;
    private long _syncedLength;
    private bool _isTorn;
    private bool _isWriting;
    private PendingWrite? _next;

    private ResultFileWriter(string path, Action<SafeFileHandle> flush)
    {
        Path = path;
        _flush = flush;
        _handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete);
    }

    public string Path { get; }

    /// <summary>Bytes of whole lines.</summary>
    public long Length => Interlocked.Read(ref _length);

    public long Lines => Interlocked.Read(ref _lines);

    /// <summary>Told each time that lines were added, and how many.</summary>
    public Action<ResultFileWriter, int>? OnWritten { get; set; }

    /// <summary>Whether its name is on the disk too; the sync's own note.</summary>
    public bool IsFolderSynced { get; set; }

    /// <summary>Bytes that were torn or damaged when it was opened, and are not believed.</summary>
    public long Dropped { get; private set; }

    /// <summary>Opens a file, or makes it; every whole line is shown to <paramref name="onLine"/>, all else is dropped.</summary>
    /// <param name="path">The file.</param>
    /// <param name="flush">Brings what was written to the disk.</param>
    /// <param name="onLine">Called with each line; returns false if the line belongs to another file, throws <see cref="JsonException"/> if it is not a result line.</param>
    /// <exception cref="InvalidDataException">It is somebody else's file: nothing in it is this batch's.</exception>
    public static ResultFileWriter Open(string path, Action<SafeFileHandle> flush, Func<ReadOnlySpan<byte>, bool> onLine)
    {
        (List<(long Start, long End)> whole, long lines, long size) = Recover(path, onLine);
        if (whole is [.., ( > 0, _)])
        {
            RemoveDamagedLines(path, whole);
        }

        var file = new ResultFileWriter(path, flush) { _length = whole.Sum(part => part.End - part.Start), _lines = lines };
        file.Dropped = size - file._length;
        try
        {
            if (file.Dropped > 0)
            {
                RandomAccess.SetLength(file._handle, file._length);
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Adds whole lines; the task ends when the system has them. A write can take long while the disk is busy: what comes
    /// meanwhile is gathered and written at once, and no thread waits for another's write.
    /// </summary>
    /// <exception cref="IOException">Nothing was added; it can be tried again.</exception>
    public ValueTask AppendAsync(ReadOnlySpan<byte> wholeLines, int count)
    {
        lock (_gate)
        {
            if (_isWriting)
            {
                _next ??= new PendingWrite();
                _next.Add(wholeLines, count);
                return new ValueTask(_next.Written);
            }

            _isWriting = true;
        }

        try
        {
            Write(wholeLines, count);
            return ValueTask.CompletedTask;
        }
        finally
        {
            if (TakeNext() is { } next)
            {
                ThreadPool.UnsafeQueueUserWorkItem(WritePending, next, preferLocal: false);
            }
        }
    }

    /// <summary>Returns once everything added is on the disk.</summary>
    /// <exception cref="IOException">The disk refused; it can be tried again.</exception>
    public void Sync()
    {
        long length = Length;
        long synced = Interlocked.Read(ref _syncedLength);
        if (length == synced)
        {
            return;
        }

        try
        {
            long start = Stopwatch.GetTimestamp();
            _flush(_handle);
            Meters.Sync.RecordSince(start);
            Interlocked.Exchange(ref _syncedLength, length);
        }
        catch (IOException)
        {
            // The system takes what it could not write for written, and says so once: written again, the next sync means it.
            WriteAgain(synced, length);
            throw;
        }
    }

    public void Dispose() => _handle.Dispose();

    private void WritePending(PendingWrite group)
    {
        for (PendingWrite? next = group; next is not null; next = TakeNext())
        {
            try
            {
                Write(next.Lines, next.Count);
                next.End(null);
            }
            catch (Exception exception)
            {
                next.End(exception);
            }
        }
    }

    private PendingWrite? TakeNext()
    {
        lock (_gate)
        {
            PendingWrite? next = _next;
            _next = null;
            _isWriting = next is not null;
            return next;
        }
    }

    private void Write(ReadOnlySpan<byte> wholeLines, int count)
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
        OnWritten?.Invoke(this, count);
    }

    /// <summary>
    /// Reads what is there. After a crash the last line may be cut off; after a power cut the lines since the last sync
    /// may be holes. A bad line is dropped and run again; the others stay.
    /// </summary>
    private static (List<(long Start, long End)> Whole, long Lines, long Size) Recover(string path, Func<ReadOnlySpan<byte>, bool> onLine)
    {
        var whole = new List<(long Start, long End)>();
        long lines = 0;
        string? foreign = null;
        using var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        using var reader = new LineReader(stream);
        while (reader.Read())
        {
            bool? isOurs = reader.IsTerminated ? TryRead(reader.Line.Span, onLine) : null;
            if (isOurs != true)
            {
                foreign ??= isOurs == false ? "results of another input" : IsOwn(reader.Line.Span) ? null : "something else than results";
            }
            else if (whole is [.., var last] && last.End == reader.Offset)
            {
                whole[^1] = (last.Start, reader.NextOffset);
                lines++;
            }
            else
            {
                whole.Add((reader.Offset, reader.NextOffset));
                lines++;
            }
        }

        return foreign is null || lines > 0 ? (whole, lines, stream.Length) : throw new InvalidDataException($"'{path}' holds {foreign}.");
    }

    /// <summary>Null where the line is damaged.</summary>
    private static bool? TryRead(ReadOnlySpan<byte> line, Func<ReadOnlySpan<byte>, bool> onLine)
    {
        try
        {
            return onLine(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether a bad line may be the rest of one of ours: nobody else's file may be cut.</summary>
    internal static bool IsOwn(ReadOnlySpan<byte> line) =>
        line.StartsWith(s_lineStart) || s_lineStart.AsSpan().StartsWith(line) || line.IndexOfAnyExcept((byte)0) < 0;

    /// <summary>Leaves bad lines between good ones out: in a new file, that a crash meanwhile costs nothing.</summary>
    private static void RemoveDamagedLines(string path, List<(long Start, long End)> whole)
    {
        string mended = path + ".mended";
        using (SafeFileHandle from = File.OpenHandle(path))
        using (SafeFileHandle to = File.OpenHandle(mended, FileMode.Create, FileAccess.Write))
        {
            long end = 0;
            foreach ((long start, long partEnd) in whole)
            {
                Copy(from, start, partEnd, to, end);
                end += partEnd - start;
            }

            RandomAccess.FlushToDisk(to);
        }

        File.Move(mended, path, overwrite: true);
        FolderSync.Sync(System.IO.Path.GetDirectoryName(path)!);
    }

    private void WriteAgain(long start, long end) => Copy(_handle, start, end, _handle, start);

    private static void Copy(SafeFileHandle from, long start, long end, SafeFileHandle to, long target)
    {
        byte[] chunk = new byte[64 * 1024];
        while (start < end)
        {
            int read = RandomAccess.Read(from, chunk.AsSpan(0, (int)Math.Min(chunk.Length, end - start)), start);
            if (read == 0)
            {
                throw new EndOfStreamException("A log has become shorter.");
            }

            RandomAccess.Write(to, chunk.AsSpan(0, read), target);
            start += read;
            target += read;
        }
    }
}
