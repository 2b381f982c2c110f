using InferenceBatch.Http;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// Waits while a service cannot be reached or does not take calls: longer and longer up to a minute, or as long as the
/// service asks. One outage lasts from the first failure to the next success, whatever calls it concerns.
/// </summary>
/// <param name="time">Read for waits.</param>
/// <param name="timeout">How long an outage may last; null for as long as it does.</param>
/// <param name="observer">Told after ten seconds what is waited for, and every five minutes again.</param>
internal sealed class ServiceWait(TimeProvider time, TimeSpan? timeout, RunObserver observer)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_firstTold = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_toldAgain = TimeSpan.FromMinutes(5);

    private long? _began;
    private int _failures;
    private TimeSpan _tellAt;

    /// <summary>Whether the same call may succeed later without anybody changing something.</summary>
    public static bool IsTemporary(ServiceException trouble) => trouble.IsTransient && !RetryRules.IsFinal(trouble.Error?.Code);

    /// <summary>A call succeeded, or was refused by a service that works.</summary>
    public void EndOutage() => _began = null;

    /// <summary>Waits after a call that failed; false, at once, when the outage has lasted too long or the service asks for more time than there is.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task<bool> WaitAsync(ServiceException trouble, CancellationToken cancellationToken)
    {
        if (_began is null)
        {
            (_began, _failures, _tellAt) = (time.GetTimestamp(), 0, s_firstTold);
        }

        TimeSpan now = time.GetElapsedTime(_began.Value);
        TimeSpan end = now + (trouble.RetryAfter ?? RetryRules.Backoff(++_failures, s_longest));
        if (now >= timeout || (end > timeout && trouble.RetryAfter is not null))
        {
            return false;
        }

        // The last try comes when the time is over.
        end = end < timeout ? end : timeout ?? end;
        for (; now < end; now = time.GetElapsedTime(_began.Value))
        {
            if (now >= _tellAt)
            {
                observer.OnOutage(trouble, now);
                _tellAt = now + s_toldAgain;
            }

            TimeSpan next = (end < _tellAt ? end : _tellAt) - now;
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(next.TotalMilliseconds)), time, cancellationToken).ConfigureAwait(false);
        }

        return true;
    }
}
