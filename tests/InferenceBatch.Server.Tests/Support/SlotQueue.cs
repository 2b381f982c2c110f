namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// Answers as llama-server does: some requests at a time, in the order they came; the rest waits, without bounds and never
/// with a 429, until a slot is free or the caller hangs up.
/// </summary>
/// <param name="slots">Requests that are worked on at a time.</param>
/// <param name="latency">How long an answer takes, without the wait for a slot.</param>
internal sealed class SlotQueue(int slots, TimeSpan latency) : IDisposable
{
    private readonly SemaphoreSlim _slots = new(slots);
    private int _cutOff;

    /// <summary>Requests whose caller hung up before the answer.</summary>
    public int CutOff => Volatile.Read(ref _cutOff);

    public async Task AnswerAsync(FaultUpstream.Call call)
    {
        try
        {
            await _slots.WaitAsync(call.Context.RequestAborted);
            try
            {
                await Task.Delay(latency, call.Context.RequestAborted);
            }
            finally
            {
                _slots.Release();
            }
        }
        catch (OperationCanceledException)
        {
            Interlocked.Increment(ref _cutOff);
            return;
        }

        await call.OkAsync();
    }

    public void Dispose() => _slots.Dispose();
}
