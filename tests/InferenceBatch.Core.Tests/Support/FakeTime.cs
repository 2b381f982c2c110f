namespace InferenceBatch.Support;

/// <summary>
/// Time that a test moves. Waits that <see cref="Skips"/> accepts are over at once: time moves on by them, and they are
/// listed in <see cref="Waits"/>. Others end when <see cref="Advance"/> gets there.
/// </summary>
internal sealed class FakeTime : TimeProvider
{
    /// <summary>How long the client waits for a sign of life; not a wait that passes by itself.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(100);

    private readonly Lock _lock = new();
    private readonly List<FakeTimer> _timers = [];
    private readonly List<TimeSpan> _waits = [];
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public Func<TimeSpan, bool> Skips { get; init; } = wait => wait != s_patience;

    public IReadOnlyList<TimeSpan> Waits
    {
        get
        {
            lock (_lock)
            {
                return [.. _waits];
            }
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public void Advance(TimeSpan by)
    {
        List<FakeTimer> due;
        lock (_lock)
        {
            _now += by;
            due = [.. _timers.Where(timer => timer.Due <= _now)];
            due.ForEach(timer => timer.Due = DateTimeOffset.MaxValue);
        }

        due.ForEach(timer => timer.Fire());
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new FakeTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class FakeTimer(FakeTime time, Action fire) : ITimer
    {
        public DateTimeOffset Due { get; set; }

        public void Fire() => fire();

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            bool skip = dueTime != Timeout.InfiniteTimeSpan && time.Skips(dueTime);
            lock (time._lock)
            {
                if (skip)
                {
                    time._now += dueTime;
                    time._waits.Add(dueTime);
                }

                Due = skip || dueTime == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : time._now + dueTime;
                time._timers.Remove(this);
                time._timers.Add(this);
            }

            if (skip)
            {
                ThreadPool.QueueUserWorkItem(_ => fire());
            }

            return true;
        }

        public void Dispose()
        {
            lock (time._lock)
            {
                time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
