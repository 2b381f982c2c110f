using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Cmdlets;

/// <summary>Leaves the time between two uploads that a provider asks for (<see cref="ServiceProfile.UploadInterval"/>), shown as progress. Safe for several runspaces.</summary>
internal static class UploadPace
{
    private static readonly ConditionalWeakTable<ServiceConnection, StrongBox<DateTimeOffset>> s_last = [];

    /// <summary>Waits until the connection may upload again, and counts the upload that follows.</summary>
    public static async Task WaitAsync(ServiceConnection connection, ProgressReporter progress, CancellationToken cancellationToken)
    {
        TimeSpan interval = connection.Profile.UploadInterval;
        while (TakeTurn(s_last.GetOrCreateValue(connection), interval) is { Ticks: > 0 } left)
        {
            progress.Report(0, 0, () => Messages.Text("Progress.UploadPace", left.TotalSeconds, connection.Provider, interval.TotalSeconds));
            await Task.Delay(left < TimeSpan.FromSeconds(1) ? left : TimeSpan.FromSeconds(1), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes the turn where it has come; else gives the time that is left.</summary>
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
