namespace InferenceBatch.Waiting;

/// <summary>How fast something gets done, over its last reports: requests a second, and the time the rest will take.</summary>
/// <remarks>Not for several threads at once.</remarks>
public sealed class ProgressRate
{
    private const int MaxReports = 12;

    private readonly Queue<(TimeSpan At, long Done)> _reports = new();
    private (TimeSpan At, long Done) _last;

    /// <summary>Done a second; null until two reports tell of progress.</summary>
    public double? PerSecond =>
        _reports.Count > 1 && _reports.Peek() is var first && _last.Done > first.Done && _last.At > first.At
            ? (_last.Done - first.Done) / (_last.At - first.At).TotalSeconds
            : null;

    /// <summary>Says how much was done at a time.</summary>
    public void Report(TimeSpan at, long done)
    {
        if (done < _last.Done)
        {
            // Another attempt, or a service that counts again.
            _reports.Clear();
        }

        _last = (at, done);
        _reports.Enqueue(_last);
        if (_reports.Count > MaxReports)
        {
            _reports.Dequeue();
        }
    }

    /// <summary>How long the rest takes at this rate; null where that cannot be said.</summary>
    public TimeSpan? TimeLeft(long total) =>
        PerSecond is { } rate && total > 0 && Math.Max(0, total - _last.Done) / rate is < 1e8 and var seconds ? TimeSpan.FromSeconds(seconds) : null;
}
