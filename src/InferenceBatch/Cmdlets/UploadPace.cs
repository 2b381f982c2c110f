using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Keeps the interval between two uploads that a provider requires (<see cref="ServiceProfile.UploadInterval"/>), and shows the wait as
/// progress. Thread-safe.
/// </summary>
internal static class UploadPace
{
    private static readonly ConditionalWeakTable<ServiceConnection, StrongBox<DateTimeOffset>> s_last = [];

    /// <summary>Waits until the connection may upload again, and records the upload that follows.</summary>
    public static async Task WaitAsync(ServiceConnection connection, ProgressReporter progress, CancellationToken cancellationToken)
    {
        TimeSpan interval = connection.Profile.UploadInterval;
        while (TakeTurn(s_last.GetOrCreateValue(connection), interval) is { Ticks: > 0 } left)
        {
            progress.Report(0, 0, () => Messages.Text("Progress.UploadPace", left.TotalSeconds, connection.Provider, interval.TotalSeconds));
            await Task.Delay(left < TimeSpan.FromSeconds(1) ? left : TimeSpan.FromSeconds(1), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Records an upload and returns zero if the interval is over, else returns the time left.</summary>
    private static TimeSpan TakeTurn(StrongBox<DateTimeOffset> last, TimeSpan interval)
    {
        lock (last)
        {
            DateTimeOffset now = DateTimeOffset.UtcNow;
            if (last.Value + interval <= now)
            {
                last.Value = now;
                return TimeSpan.Zero;
            }

            return last.Value + interval - now;
        }
    }
}
