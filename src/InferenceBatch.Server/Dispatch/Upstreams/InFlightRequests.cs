namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The requests in flight at an upstream, by ticket.</summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class InFlightRequests
{
    private static readonly TimeSpan s_graceAfterOutage = TimeSpan.FromMinutes(1);

    private readonly Dictionary<long, (TimeSpan Started, CancellationTokenSource? Cancel)> _all = [];
    private long _lostBefore;

    public int Count => _all.Count;

    /// <summary>When the oldest request was sent. There must be one.</summary>
    public TimeSpan OldestStart => _all.Values.Min(request => request.Started);

    public void Add(long ticket, TimeSpan now) => _all.Add(ticket, (now, null));

    /// <summary>Sets what cancels a request.</summary>
    public void SetCancel(long ticket, CancellationTokenSource cancel) => _all[ticket] = _all[ticket] with { Cancel = cancel };

    /// <summary>Removes a request; returns false if it is not in flight.</summary>
    /// <param name="ticket">The ticket of the request.</param>
    /// <param name="started">When it was sent.</param>
    public bool Remove(long ticket, out TimeSpan started)
    {
        bool isInFlight = _all.Remove(ticket, out (TimeSpan Started, CancellationTokenSource? Cancel) request);
        started = request.Started;
        return isInFlight;
    }

    /// <summary>
    /// Gives the requests that were sent before an outage one more minute: a process that was stopped may keep their
    /// connections open without a response until their timeout, but one that still works on them gets time to respond.
    /// </summary>
    /// <param name="newest">The newest ticket before the outage.</param>
    public void ShortenTimeouts(long newest)
    {
        _lostBefore = newest;
        foreach ((_, CancellationTokenSource? cancel) in _all.Where(request => request.Key <= newest).Select(request => request.Value).ToList())
        {
            cancel?.CancelAfter(s_graceAfterOutage);
        }
    }

    /// <summary>Whether a request was sent before an outage, so that a response is unlikely.</summary>
    public bool IsLost(long ticket) => ticket <= _lostBefore;
}
