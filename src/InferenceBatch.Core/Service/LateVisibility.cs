using System.Net;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// The wait for a file or a batch that exists, as this process knows, and that the service does not show yet. Services
/// that keep several copies of their data answer 404 for what they have just accepted; for five minutes that means "not
/// visible yet". The waits grow from one second to half a minute. For one object.
/// </summary>
internal sealed class LateVisibility(TimeProvider time)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(30);

    /// <summary>The clocks of service and client may differ by minutes.</summary>
    private static readonly TimeSpan s_longAgo = TimeSpan.FromHours(1);

    private long? _since;
    private TimeSpan _wait = s_firstWait;

    /// <summary>How long a service may take to show what exists.</summary>
    public static TimeSpan Limit { get; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether a service answered that it does not have what it was asked for.</summary>
    public static bool IsNotFound(ServiceException exception) => exception.StatusCode == HttpStatusCode.NotFound
        || (exception is { Kind: ServiceErrorKind.FileNotFound or ServiceErrorKind.BatchNotFound, StatusCode: not null });

    /// <summary>Whether something was accepted so recently that it may not be visible yet.</summary>
    /// <param name="time">The clock that gave the time stamp.</param>
    /// <param name="since">The time stamp of its acceptance; null when another process did that.</param>
    public static bool IsRecent(TimeProvider time, long? since) => since is { } accepted && time.GetElapsedTime(accepted) < Limit;

    /// <summary>Whether a batch ended so recently, as far as is known, that its files may not be visible yet.</summary>
    public static bool MayHaveLateFiles(TimeProvider time, Batch batch) => batch.IsFinished && !(time.GetUtcNow() - batch.FinishedAt > s_longAgo);

    /// <summary>The object was not visible: whether it may still become so. The five minutes begin with the first call.</summary>
    public bool MayAppear() => time.GetElapsedTime(_since ??= time.GetTimestamp()) < Limit;

    /// <summary>The object is visible: the next 404 begins the five minutes anew.</summary>
    public void Appeared() => (_since, _wait) = (null, s_firstWait);

    /// <summary>The object was not visible: how long to wait before the next try; null when the five minutes are over.</summary>
    public TimeSpan? NextWait()
    {
        if (!MayAppear())
        {
            return null;
        }

        TimeSpan left = Limit - time.GetElapsedTime(_since!.Value);
        TimeSpan wait = _wait < left ? _wait : left;
        _wait = _wait * 1.5 < s_longestWait ? _wait * 1.5 : s_longestWait;
        return wait;
    }

    /// <summary>Waits before the next try; false, at once, when the five minutes are over.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task<bool> WaitAsync(CancellationToken cancellationToken)
    {
        if (NextWait() is not { } wait)
        {
            return false;
        }

        // Timers drop fractions of a millisecond.
        await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds)), time, cancellationToken).ConfigureAwait(false);
        return true;
    }
}
