using System.Buffers;
using System.IO.Pipelines;

namespace InferenceBatch.Server.Api;

/// <summary>The output of a connection, which can be replaced by a final response: everything that is written later is dropped.</summary>
internal sealed class ReplaceableOutput(PipeWriter inner) : PipeWriter
{
    private byte[]? _dropped;

    public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

    public override long UnflushedBytes => inner.UnflushedBytes;

    /// <summary>Writes the final response; the next flush sends it.</summary>
    public void Replace(ReadOnlySpan<byte> response)
    {
        if (_dropped is null)
        {
            inner.Write(response);
            _dropped = [];
        }
    }

    public override void Advance(int bytes)
    {
        if (_dropped is null)
        {
            inner.Advance(bytes);
        }
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) => _dropped is null ? inner.GetMemory(sizeHint) : Drop(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => _dropped is null ? inner.GetSpan(sizeHint) : Drop(sizeHint);

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

    public override void CancelPendingFlush() => inner.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

    private byte[] Drop(int sizeHint) => _dropped = _dropped!.Length >= Math.Max(sizeHint, 1) ? _dropped : new byte[Math.Max(sizeHint, 4096)];
}
