namespace InferenceBatch.Http;

/// <summary>A decoder's stream whose faults are told by one exception, whatever the decoder throws.</summary>
internal sealed class DecodedStream(Stream decoder) : ReadOnlyStream
{
    /// <exception cref="DamagedContentException">The content cannot be decoded.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await decoder.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException and not ObjectDisposedException)
        {
            throw new DamagedContentException(exception);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            decoder.Dispose();
        }

        base.Dispose(disposing);
    }
}
