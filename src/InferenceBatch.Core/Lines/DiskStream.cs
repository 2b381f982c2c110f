using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Lines;

/// <summary>A file stream whose write errors are <see cref="FileUnwritableException"/>, see <see cref="Disk"/>.</summary>
/// <remarks>It contains a FileStream instead of deriving from it: a derived stream would call its own overrides for each asynchronous write.</remarks>
public sealed class DiskStream : Stream
{
    private readonly FileStream _file;
    private readonly bool _affectsWholeCommand;

    internal DiskStream(FileStream file, bool affectsWholeCommand) => (_file, _affectsWholeCommand) = (file, affectsWholeCommand);

    /// <summary>The full path.</summary>
    public string Name => _file.Name;

    public SafeFileHandle SafeFileHandle => _file.SafeFileHandle;

    public override bool CanRead => _file.CanRead;

    public override bool CanSeek => _file.CanSeek;

    public override bool CanWrite => _file.CanWrite;

    public override long Length => _file.Length;

    public override long Position
    {
        get => _file.Position;
        set => _file.Position = value;
    }

    public override int Read(byte[] buffer, int offset, int count) => _file.Read(buffer, offset, count);

    public override int Read(Span<byte> buffer) => _file.Read(buffer);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            _file.Write(buffer);
        }
        catch (Exception exception) when (Disk.IsWriteError(exception))
        {
            throw Unwritable(exception);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await _file.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (Disk.IsWriteError(exception))
        {
            throw Unwritable(exception);
        }
    }

    public override void SetLength(long value) => Do(() => _file.SetLength(value));

    public override void Flush() => Flush(flushToDisk: false);

    /// <summary>Writes buffered data to the operating system.</summary>
    /// <param name="flushToDisk">Whether to wait until the data is on the disk (fsync).</param>
    public void Flush(bool flushToDisk) => Do(() => _file.Flush(flushToDisk));

    public override long Seek(long offset, SeekOrigin origin) => _file.Seek(offset, origin);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Do(_file.Dispose);
        }

        base.Dispose(disposing);
    }

    private void Do(Action write)
    {
        try
        {
            write();
        }
        catch (Exception exception) when (Disk.IsWriteError(exception))
        {
            throw Unwritable(exception);
        }
    }

    private FileUnwritableException Unwritable(Exception exception) => new(Name, exception) { AffectsWholeCommand = _affectsWholeCommand };
}
