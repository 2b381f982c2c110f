using InferenceBatch.Http;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// Waits while a service is unavailable: with increasing waits up to a minute, or as long as the service asks. An outage
/// lasts from the first failure to the next success, for all calls together.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="timeout">The maximum duration of an outage; null for no limit.</param>
/// <param name="observer">Receives a report after ten seconds, and then every five minutes.</param>
internal sealed class ServiceWait(TimeProvider time, TimeSpan? timeout, RunObserver observer)
{
    private static readonly TimeSpan s_maxWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_firstReport = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_reportInterval = TimeSpan.FromMinutes(5);

    private long? _startedAt;
    private int _failures;
    private TimeSpan _reportAt;

    /// <summary>Whether the same call may succeed later without a change by the user.</summary>
    public static bool IsTemporary(ServiceException failure) => failure.IsTransient && !RetryRules.IsFinal(failure.Error?.Code);

    /// <summary>Ends the outage: a call succeeded, or a working service refused it.</summary>
    public void EndOutage() => _startedAt = null;

    /// <summary>Waits after a failed call. Returns false at once if the timeout is reached, or if the service asks for a wait beyond it.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task<bool> WaitAsync(ServiceException failure, CancellationToken cancellationToken)
    {
        if (_startedAt is null)
        {
            (_startedAt, _failures, _reportAt) = (time.GetTimestamp(), 0, s_firstReport);
        }

        TimeSpan now = time.GetElapsedTime(_startedAt.Value);
        TimeSpan end = now + (failure.RetryAfter ?? RetryRules.Backoff(++_failures, s_maxWait));
        if (now >= timeout || (end > timeout && failure.RetryAfter is not null))
        {
            return false;
        }

        // The last try is at the timeout.
        end = end < timeout ? end : timeout ?? end;
        for (; now < end; now = time.GetElapsedTime(_startedAt.Value))
        {
            if (now >= _reportAt)
            {
                observer.OnOutage(failure, now);
                _reportAt = now + s_reportInterval;
            }

            TimeSpan next = (end < _reportAt ? end : _reportAt) - now;
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(next.TotalMilliseconds)), time, cancellationToken).ConfigureAwait(false);
        }

        return true;
    }
}
