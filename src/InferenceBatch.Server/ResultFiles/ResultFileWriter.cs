using System.Diagnostics;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>
/// One of the two files of a <see cref="ResultFilePair"/>. Lines are only appended, and only complete lines with one system
/// call, so that after a crash at most the last line is incomplete.
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

    /// <summary>The length of the complete lines in bytes.</summary>
    public long Length => Interlocked.Read(ref _length);

    public long Lines => Interlocked.Read(ref _lines);

    /// <summary>Called each time lines were added, with their number.</summary>
    public Action<ResultFileWriter, int>? OnWritten { get; set; }

    /// <summary>Whether its folder entry is synced too. For <see cref="GroupSync"/>.</summary>
    public bool IsFolderSynced { get; set; }

    /// <summary>The number of damaged bytes that were dropped when the file was opened.</summary>
    public long Dropped { get; private set; }

    /// <summary>Opens a file, or creates it. Calls <paramref name="onLine"/> for each complete line, and drops everything else.</summary>
    /// <param name="path">The file.</param>
    /// <param name="flush">Syncs the file to the disk.</param>
    /// <param name="onLine">Called with each line. Returns false if the line does not belong to this file; throws <see cref="JsonException"/> if it is not a result line.</param>
    /// <exception cref="InvalidDataException">The file has content, but no line of this batch.</exception>
    public static ResultFileWriter Open(string path, Action<SafeFileHandle> flush, Func<ReadOnlySpan<byte>, bool> onLine)
    {
        (List<(long Start, long End)> valid, long lines, long size) = Recover(path, onLine);
        if (valid is [.., ( > 0, _)])
        {
            RemoveDamagedLines(path, valid);
        }

        var file = new ResultFileWriter(path, flush) { _length = valid.Sum(part => part.End - part.Start), _lines = lines };
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
    /// Adds complete lines. The task ends when they are written to the file. A write can take long while the disk is busy: lines
    /// that arrive during it are collected and written together, and no thread waits for the write of another one.
    /// </summary>
    /// <exception cref="IOException">Nothing was added. The call can be retried.</exception>
    public ValueTask AppendAsync(ReadOnlySpan<byte> completeLines, int count)
    {
        lock (_gate)
        {
            if (_isWriting)
            {
                _next ??= new PendingWrite();
                _next.Add(completeLines, count);
                return new ValueTask(_next.Written);
            }

            _isWriting = true;
        }

        try
        {
            Write(completeLines, count);
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

    /// <summary>Returns when all added lines are on the disk.</summary>
    /// <exception cref="IOException">The sync failed. The call can be retried.</exception>
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
            // The system marks the data that it could not write as written, and reports the failure only once. If the data is
            // written again, the next sync covers it.
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

    private void Write(ReadOnlySpan<byte> completeLines, int count)
    {
        try
        {
            if (_isTorn)
            {
                RandomAccess.SetLength(_handle, _length);
                _isTorn = false;
            }

            RandomAccess.Write(_handle, completeLines, _length);
        }
        catch
        {
            _isTorn = true;
            throw;
        }

        Interlocked.Add(ref _length, completeLines.Length);
        Interlocked.Add(ref _lines, count);
        OnWritten?.Invoke(this, count);
    }

    /// <summary>
    /// Reads an existing file. After a crash the last line may be incomplete. After a power cut the lines since the last sync
    /// may be zeros. A damaged line is dropped and run again; the others are kept.
    /// </summary>
    private static (List<(long Start, long End)> Valid, long Lines, long Size) Recover(string path, Func<ReadOnlySpan<byte>, bool> onLine)
    {
        var valid = new List<(long Start, long End)>();
        long lines = 0;
        string? unexpected = null;
        using var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        using var reader = new LineReader(stream);
        while (reader.Read())
        {
            bool? isOwn = reader.IsTerminated ? TryRead(reader.Line.Span, onLine) : null;
            if (isOwn != true)
            {
                unexpected ??= isOwn == false ? "the results of another input" : IsOwn(reader.Line.Span) ? null : "content that was not written by a run";
            }
            else if (valid is [.., var last] && last.End == reader.Offset)
            {
                valid[^1] = (last.Start, reader.NextOffset);
                lines++;
            }
            else
            {
                valid.Add((reader.Offset, reader.NextOffset));
                lines++;
            }
        }

        return unexpected is null || lines > 0 ? (valid, lines, stream.Length) : throw new InvalidDataException($"'{path}' contains {unexpected}.");
    }

    /// <summary>Returns null if the line is damaged.</summary>
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

    /// <summary>Whether a line is a result line or the damaged rest of one. Lines of other programs must not be removed.</summary>
    internal static bool IsOwn(ReadOnlySpan<byte> line) =>
        line.StartsWith(s_lineStart) || s_lineStart.AsSpan().StartsWith(line) || line.IndexOfAnyExcept((byte)0) < 0;

    /// <summary>Removes damaged lines between valid ones. Writes a new file, so that a crash in the meantime loses nothing.</summary>
    private static void RemoveDamagedLines(string path, List<(long Start, long End)> valid)
    {
        string repaired = path + ".mended";
        using (SafeFileHandle from = File.OpenHandle(path))
        using (SafeFileHandle to = File.OpenHandle(repaired, FileMode.Create, FileAccess.Write))
        {
            long end = 0;
            foreach ((long start, long partEnd) in valid)
            {
                Copy(from, start, partEnd, to, end);
                end += partEnd - start;
            }

            RandomAccess.FlushToDisk(to);
        }

        File.Move(repaired, path, overwrite: true);
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
                throw new EndOfStreamException("A result file was truncated by another program.");
            }

            RandomAccess.Write(to, chunk.AsSpan(0, read), target);
            start += read;
            target += read;
        }
    }
}
