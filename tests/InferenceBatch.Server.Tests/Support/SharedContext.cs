namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// Responds like a llama-server whose slots share one context: while few requests are in flight, each succeeds. The request
/// that exceeds the capacity makes all of them fail with 500, even those that are almost done.
/// </summary>
/// <param name="capacity">How many requests fit into the context together.</param>
/// <param name="latency">How long a response takes.</param>
internal sealed class SharedContext(int capacity, TimeSpan latency)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _overflow = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _inFlight;
    private int _overflows;

    /// <summary>How many times all requests in flight failed together.</summary>
    public int Overflows => Volatile.Read(ref _overflows);

    public async Task AnswerAsync(FaultUpstream.Call call)
    {
        Task overflow = Enter();
        Task answer = Task.Delay(latency);
        if (await Task.WhenAny(overflow, answer) == answer && Leave(overflow))
        {
            await call.OkAsync();
            return;
        }

        await call.AnswerAsync(500, """{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}""");
    }

    /// <summary>Returns the task that ends when the request fails together with the others in flight.</summary>
    private Task Enter()
    {
        lock (_gate)
        {
            Task overflow = _overflow.Task;
            if (++_inFlight > capacity)
            {
                _overflows++;
                _overflow.SetResult();
                _overflow = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _inFlight = 0;
            }

            return overflow;
        }
    }

    /// <summary>Returns whether the request was done before the context overflowed.</summary>
    private bool Leave(Task overflow)
    {
        lock (_gate)
        {
            if (overflow.IsCompleted)
            {
                return false;
            }

            _inFlight--;
            return true;
        }
    }
}
