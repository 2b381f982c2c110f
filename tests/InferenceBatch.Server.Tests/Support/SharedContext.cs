namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// Answers as llama-server does whose slots share one context: while few requests are in flight each gets its answer;
/// the request that makes them too many fails all of them with 500, those that are almost done included.
/// </summary>
/// <param name="capacity">Requests that fit into the context together.</param>
/// <param name="latency">How long an answer takes.</param>
internal sealed class SharedContext(int capacity, TimeSpan latency)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _overflow = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _inFlight;
    private int _overflows;

    /// <summary>How often all requests in flight failed together.</summary>
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

    /// <summary>Gives the task that ends when the request fails together with those in flight beside it.</summary>
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

    /// <summary>Whether the request is done before the context overflowed.</summary>
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
