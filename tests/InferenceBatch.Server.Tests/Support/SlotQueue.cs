namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// Responds like llama-server: to some requests at a time, in the order of their arrival. The others wait until a slot is free
/// or the caller closes the connection. The queue has no limit, and there is no 429.
/// </summary>
/// <param name="slots">The number of requests that are processed at a time.</param>
/// <param name="latency">How long a response takes, without the wait for a slot.</param>
internal sealed class SlotQueue(int slots, TimeSpan latency) : IDisposable
{
    private readonly SemaphoreSlim _slots = new(slots);
    private int _cutOff;

    /// <summary>Requests whose caller closed the connection before the response.</summary>
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
