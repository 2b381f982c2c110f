using System.Buffers;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>Lines that wait to be written together. Guarded by the file's lock until it is taken to be written.</summary>
internal sealed class PendingWrite
{
    private readonly ArrayBufferWriter<byte> _lines = new(4096);
    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ReadOnlySpan<byte> Lines => _lines.WrittenSpan;

    public int Count { get; private set; }

    /// <summary>Ends when they are written, or fails when they could not be.</summary>
    public Task Written => _written.Task;

    public void Add(ReadOnlySpan<byte> wholeLines, int count)
    {
        _lines.Write(wholeLines);
        Count += count;
    }

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
