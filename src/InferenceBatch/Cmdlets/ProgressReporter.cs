using System.Management.Automation;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Progress of one activity that takes a while: at most ten records a second however often it is told, and one that
/// removes the bar at the end. PowerShell itself drops the records under <c>-ProgressAction Ignore</c> and $ProgressPreference.
/// </summary>
/// <remarks>Safe for several threads when <paramref name="write"/> is.</remarks>
/// <param name="activity">What is being done; the bar's title, of which the first 30 characters are shown.</param>
/// <param name="write">Writes a record: the cmdlet's WriteProgress on the pipeline thread, else the pump's.</param>
/// <param name="time">Where the time is read.</param>
/// <param name="atOnce">Whether it is known to take a while: the next report may be long in coming.</param>
internal sealed class ProgressReporter(string activity, Action<ProgressRecord> write, TimeProvider? time = null, bool atOnce = false) : IDisposable
{
    /// <summary>What is over so soon needs no bar, which would only flash.</summary>
    private static readonly TimeSpan s_firstAfter = TimeSpan.FromMilliseconds(200);

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);
    private const int LongestActivity = 30;
    private static int s_lastId;

    // PowerShell takes the room of a long title away from the status, all of it in a window of 80 columns.
    private readonly string _activity = PlainText.OneLine(activity, LongestActivity);
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly int _id = Interlocked.Increment(ref s_lastId) & 0x7FFFFFFF;
    private readonly object _gate = new();
    private long _last = (time ?? TimeProvider.System).GetTimestamp();
    private bool _shown;
    private bool _ended;

    /// <summary>Says how far it is.</summary>
    /// <param name="done">Units done.</param>
    /// <param name="total">Units in all; 0 or less where that is not known, then no bar is drawn.</param>
    /// <param name="status">The line below the title, made only when it is shown.</param>
    /// <param name="left">How long the rest takes; null where that is not known.</param>
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
