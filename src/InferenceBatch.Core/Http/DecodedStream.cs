namespace InferenceBatch.Http;

/// <summary>Reads from a decoder, and throws one type of exception for all faults of the decoder.</summary>
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
