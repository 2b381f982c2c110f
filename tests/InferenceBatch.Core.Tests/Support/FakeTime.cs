namespace InferenceBatch.Support;

/// <summary>
/// Time that a test moves. Unless told otherwise, a wait is over at once: time moves on by it, and it is listed in
/// <see cref="Waits"/>. A time limit is no wait: it is over when <see cref="Advance"/> gets there.
/// </summary>
internal sealed class FakeTime : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<FakeTimer> _timers = [];
    private readonly List<TimeSpan> _waits = [];
    private TaskCompletionSource? _nextLimit;
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public bool SkipsWaits { get; init; } = true;

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

    /// <summary>Ends when the next time limit is set.</summary>
    public Task NextLimit()
    {
        lock (_lock)
        {
            return (_nextLimit ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        bool isWait = state is not CancellationTokenSource;
        var timer = new FakeTimer(this, isWait, () => callback(state));
        timer.Change(dueTime, period);
        if (!isWait)
        {
            lock (_lock)
            {
                _nextLimit?.SetResult();
                _nextLimit = null;
            }
        }

        return timer;
    }

    private sealed class FakeTimer(FakeTime time, bool isWait, Action fire) : ITimer
    {
        public DateTimeOffset Due { get; set; }

        public void Fire() => fire();

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            bool skip = dueTime != Timeout.InfiniteTimeSpan && isWait && time.SkipsWaits;
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
