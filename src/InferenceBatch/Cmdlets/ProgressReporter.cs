using System.Management.Automation;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Reports the progress of an activity: at most ten records a second, and a last one that removes the bar. PowerShell drops the records
/// if <c>-ProgressAction Ignore</c> or $ProgressPreference say so.
/// </summary>
/// <remarks>Thread-safe if <paramref name="write"/> is.</remarks>
/// <param name="activity">The title of the bar. Its first 30 characters are shown.</param>
/// <param name="write">Writes a record: WriteProgress of the cmdlet on the pipeline thread, of the pump on others.</param>
/// <param name="time">The clock.</param>
/// <param name="atOnce">Whether to show the first report at once, because the activity takes long and the next report may be late.</param>
internal sealed class ProgressReporter(string activity, Action<ProgressRecord> write, TimeProvider? time = null, bool atOnce = false) : IDisposable
{
    /// <summary>An activity that ends sooner shows no bar, which would only flash.</summary>
    private static readonly TimeSpan s_firstAfter = TimeSpan.FromMilliseconds(200);

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);
    private const int LongestActivity = 30;
    private static int s_lastId;

    // A long title leaves less room for the status, in a window of 80 columns none.
    private readonly string _activity = PlainText.OneLine(activity, LongestActivity);
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly int _id = Interlocked.Increment(ref s_lastId) & 0x7FFFFFFF;
    private readonly object _gate = new();
    private long _last = (time ?? TimeProvider.System).GetTimestamp();
    private bool _shown;
    private bool _ended;

    /// <summary>Reports progress.</summary>
    /// <param name="done">Units done.</param>
    /// <param name="total">The total of units; 0 or less if it is not known, which shows no bar.</param>
    /// <param name="status">Returns the line below the title. Called only if it is shown.</param>
    /// <param name="left">The time left; null if it is not known.</param>
    public void Report(long done, long total, Func<string> status, TimeSpan? left = null)
    {
        lock (_gate)
        {
            if (_ended || _time.GetElapsedTime(_last) < (_shown ? s_pause : atOnce ? TimeSpan.Zero : s_firstAfter))
            {
                return;
            }

            _last = _time.GetTimestamp();
            _shown = true;
            int percent = total > 0 ? (int)Math.Clamp(done * 100.0 / total, 0, 100) : -1;
            int seconds = left is { TotalSeconds: < int.MaxValue } some ? (int)some.TotalSeconds : -1;
            write(new ProgressRecord(_id, _activity, status()) { PercentComplete = percent, SecondsRemaining = seconds });
        }
    }

    /// <summary>Removes the bar.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_shown && !_ended)
            {
                write(new ProgressRecord(_id, _activity, " ") { RecordType = ProgressRecordType.Completed });
            }

            _ended = true;
        }
    }
}
