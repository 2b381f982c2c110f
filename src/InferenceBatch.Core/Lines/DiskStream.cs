using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Lines;

/// <summary>A file that is written, see <see cref="Disk"/>.</summary>
/// <remarks>Around a FileStream and not derived from it: a derived one calls its own overrides for each asynchronous write.</remarks>
public sealed class DiskStream : Stream
{
    private readonly FileStream _file;
    private readonly bool _isOfWholeCommand;

    internal DiskStream(FileStream file, bool isOfWholeCommand) => (_file, _isOfWholeCommand) = (file, isOfWholeCommand);

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
        catch (Exception exception) when (Disk.Refuses(exception))
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
        catch (Exception exception) when (Disk.Refuses(exception))
        {
            throw Unwritable(exception);
        }
    }

    public override void SetLength(long value) => Do(() => _file.SetLength(value));

    public override void Flush() => Flush(flushToDisk: false);

    /// <summary>Hands what is buffered to the system.</summary>
    /// <param name="flushToDisk">Whether to wait until it is on the disk itself.</param>
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
        catch (Exception exception) when (Disk.Refuses(exception))
        {
            throw Unwritable(exception);
        }
    }

    private FileUnwritableException Unwritable(Exception exception) => new(Name, exception) { IsOfWholeCommand = _isOfWholeCommand };
}
