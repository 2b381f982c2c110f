using System.Buffers;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>Lines that wait to be written together. Guarded by the lock of the file until they are taken for the write.</summary>
internal sealed class PendingWrite
{
    private readonly ArrayBufferWriter<byte> _lines = new(4096);
    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ReadOnlySpan<byte> Lines => _lines.WrittenSpan;

    public int Count { get; private set; }

    /// <summary>Ends when the lines are written. Fails if the write fails.</summary>
    public Task Written => _written.Task;

    public void Add(ReadOnlySpan<byte> completeLines, int count)
    {
        _lines.Write(completeLines);
        Count += count;
    }

    /// <param name="failure">Why the write failed; null if it succeeded.</param>
    public void End(Exception? failure)
    {
        if (failure is null)
        {
            _written.SetResult();
        }
        else
        {
            _written.SetException(failure);
        }
    }
}
