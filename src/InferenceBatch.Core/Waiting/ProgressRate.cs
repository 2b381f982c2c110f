namespace InferenceBatch.Waiting;

/// <summary>The rate of progress over the last reports: requests per second, and the time that the rest takes.</summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class ProgressRate
{
    private const int MaxReports = 12;

    private readonly Queue<(TimeSpan At, long Done)> _reports = new();
    private (TimeSpan At, long Done) _last;

    /// <summary>Requests per second; null until two reports show progress.</summary>
    public double? PerSecond =>
        _reports.Count > 1 && _reports.Peek() is var first && _last.Done > first.Done && _last.At > first.At
            ? (_last.Done - first.Done) / (_last.At - first.At).TotalSeconds
            : null;

    /// <summary>Reports how many requests were done at a time.</summary>
    public void Report(TimeSpan at, long done)
    {
        if (done < _last.Done)
        {
            // Another attempt, or a service that restarted its count.
            _reports.Clear();
        }

        _last = (at, done);
        _reports.Enqueue(_last);
        if (_reports.Count > MaxReports)
        {
            _reports.Dequeue();
        }
    }

    /// <summary>How long the rest takes at this rate; null if that is unknown.</summary>
    public TimeSpan? TimeLeft(long total) =>
        PerSecond is { } rate && total > 0 && Math.Max(0, total - _last.Done) / rate is < 1e8 and var seconds ? TimeSpan.FromSeconds(seconds) : null;
}
