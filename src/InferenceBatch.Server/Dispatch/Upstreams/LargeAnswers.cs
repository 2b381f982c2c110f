using System.Buffers;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Bounds the memory of answers: each is held whole, so large ones are read two at a time, however many are in flight.
/// Whoever waits here leaves the rest of the answer with the sender.
/// </summary>
internal sealed class LargeAnswers : IDisposable
{
    /// <summary>Up to here an answer needs no place.</summary>
    public const int Threshold = 1024 * 1024;

    private const int AtOnce = 2;

    private readonly SemaphoreSlim _places = new(AtOnce);

    /// <summary>Memory for an answer, or the part of it that has come. The pool would keep large ones for each thread.</summary>
    public static byte[] Rent(int size) => size > Threshold ? GC.AllocateUninitializedArray<byte>(size) : ArrayPool<byte>.Shared.Rent(size);

    /// <summary>Gives such memory back.</summary>
    public static void Return(byte[] buffer)
    {
        if (buffer.Length <= Threshold)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes a place; disposing gives it back.</summary>
    public async Task<IDisposable> TakeAsync(CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        return new Place(_places);
    }

    public void Dispose() => _places.Dispose();

    private sealed class Place(SemaphoreSlim places) : IDisposable
    {
        private int _isGiven;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isGiven, 1) == 0)
            {
                places.Release();
            }
        }
    }
}
