using System.Threading.Channels;

namespace InferenceBatch.Waiting;

/// <summary>The signals that wake a <see cref="BatchWatcher"/>: requests to poll now, and polls that have ended. Any thread may send them; the watcher alone reads them.</summary>
internal sealed class PollSignals(TimeProvider time)
{
    private readonly Channel<PollSignal> _signals = Channel.CreateUnbounded<PollSignal>(new UnboundedChannelOptions { SingleReader = true });

    public void Send(PollSignal signal) => _signals.Writer.TryWrite(signal);

    public bool TryRead(out PollSignal signal) => _signals.Reader.TryRead(out signal);

    /// <summary>Waits until there is a signal, or the next poll is due.</summary>
    /// <param name="wait">The time until the next poll is due; null if there is none.</param>
    /// <param name="isPolling">Whether a poll is in flight.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    public async Task WaitAsync(TimeSpan? wait, bool isPolling, CancellationToken cancellationToken)
    {
        // Timers drop fractions of a millisecond. Without rounding up, the watcher would wake too early again and again.
        wait = wait is { } exact ? TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(exact.TotalMilliseconds))) : null;
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task signal = _signals.Reader.WaitToReadAsync(woken.Token).AsTask();
        if (isPolling)
        {
            // The poll ends soon, so the time is only an upper limit.
            using var due = new CancellationTokenSource(wait ?? Timeout.InfiniteTimeSpan, time);
            using CancellationTokenRegistration cancel = due.Token.UnsafeRegister(state => ((CancellationTokenSource)state!).Cancel(), woken);
            await Task.WhenAny(signal).ConfigureAwait(false);
        }
        else
        {
            await Task.WhenAny(signal, Task.Delay(wait!.Value, time, woken.Token)).ConfigureAwait(false);
        }

        await woken.CancelAsync().ConfigureAwait(false);
        await Task.WhenAny(signal).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }
}

/// <summary>A request to poll, or the end of a poll.</summary>
/// <param name="Id">The batch to poll now; null for all batches, and at the end of a poll.</param>
/// <param name="Polled">The batch whose poll has ended; null for a request.</param>
internal readonly record struct PollSignal(string? Id, WatchedBatch? Polled);
