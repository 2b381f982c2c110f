using System.Net;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Waits for a file or a batch that this process knows to exist, but that the service does not show yet. Services with several
/// copies of their data may respond with 404 for an object that they have just accepted. For five minutes, this means "not
/// visible yet". The waits grow from one second to 30 seconds. For one object.
/// </summary>
internal sealed class LateVisibility(TimeProvider time)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(30);

    /// <summary>The time after the end of a batch in which its files may be late. An hour, because the clocks of service and client may differ by minutes.</summary>
    private static readonly TimeSpan s_lateFileWindow = TimeSpan.FromHours(1);

    private long? _since;
    private TimeSpan _wait = s_firstWait;

    /// <summary>How long a service may take to show an existing object.</summary>
    public static TimeSpan Limit { get; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether the service responded that the object does not exist.</summary>
    public static bool IsNotFound(ServiceException exception) => exception.StatusCode == HttpStatusCode.NotFound
        || (exception is { Kind: ServiceErrorKind.FileNotFound or ServiceErrorKind.BatchNotFound, StatusCode: not null });

    /// <summary>Whether an object was accepted so recently that it may not be visible yet.</summary>
    /// <param name="time">The clock of the timestamp.</param>
    /// <param name="since">The timestamp of its acceptance; null if another process sent it.</param>
    public static bool IsRecent(TimeProvider time, long? since) => since is { } accepted && time.GetElapsedTime(accepted) < Limit;

    /// <summary>Whether a batch ended so recently that its files may not be visible yet; true if the time of its end is unknown.</summary>
    public static bool MayHaveLateFiles(TimeProvider time, Batch batch) => batch.IsFinished && !(time.GetUtcNow() - batch.FinishedAt > s_lateFileWindow);

    /// <summary>Whether an object that was not visible may still appear. The five minutes start with the first call.</summary>
    public bool MayAppear() => time.GetElapsedTime(_since ??= time.GetTimestamp()) < Limit;

    /// <summary>Records that the object is visible. The next 404 starts the five minutes again.</summary>
    public void Appeared() => (_since, _wait) = (null, s_firstWait);

    /// <summary>Returns the wait before the next try for an object that was not visible; null after the five minutes.</summary>
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

    /// <summary>Waits before the next try. Returns false at once after the five minutes.</summary>
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
