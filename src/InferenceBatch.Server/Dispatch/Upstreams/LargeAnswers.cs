using System.Buffers;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Limits the memory for responses. Each response is in memory completely, so only two large ones are read at a time, however
/// many are in flight. The rest of a response that waits here stays with the sender.
/// </summary>
internal sealed class LargeAnswers : IDisposable
{
    /// <summary>The size in bytes from which a response needs a place.</summary>
    public const int Threshold = 1024 * 1024;

    private const int AtOnce = 2;

    private readonly SemaphoreSlim _places = new(AtOnce);

    /// <summary>Returns memory for a response or a part of it. Large arrays are not pooled, because the pool would keep them for each thread.</summary>
    public static byte[] Rent(int size) => size > Threshold ? GC.AllocateUninitializedArray<byte>(size) : ArrayPool<byte>.Shared.Rent(size);

    /// <summary>Returns the memory to the pool.</summary>
    public static void Return(byte[] buffer)
    {
        if (buffer.Length <= Threshold)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes a place, which is free again when the result is disposed.</summary>
    public async Task<IDisposable> TakeAsync(CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        return new Place(_places);
    }

    public void Dispose() => _places.Dispose();

    private sealed class Place(SemaphoreSlim places) : IDisposable
    {
        private int _isReturned;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isReturned, 1) == 0)
            {
                places.Release();
            }
        }
    }
}
