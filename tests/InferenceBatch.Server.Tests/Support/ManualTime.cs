namespace InferenceBatch.Server.Tests.Support;

/// <summary>Time that stands still until the test moves it; timers that fall due are called before <see cref="Move"/> returns.</summary>
internal sealed class ManualTime : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<ManualTimer> _timers = [];
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private TimeSpan _clockIsOff;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_gate)
        {
            return _now + _clockIsOff;
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp()
    {
        lock (_gate)
        {
            return _now.Ticks;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Returns once somebody waits for so long from now.</summary>
    public async Task TimerAsync(TimeSpan due)
    {
        while (!IsAwaited(due))
        {
            await Task.Delay(5);
        }
    }

    /// <summary>Sets the clock, as a person or NTP does: no time passes.</summary>
    public void SetClock(TimeSpan by)
    {
        lock (_gate)
        {
            _clockIsOff += by;
        }
    }

    public void Move(TimeSpan time)
    {
        lock (_gate)
        {
            _now += time;
        }

        while (NextDue() is { } timer)
        {
            timer.Call();
        }
    }

    private bool IsAwaited(TimeSpan due)
    {
        lock (_gate)
        {
            return _timers.Exists(timer => timer.Due == _now + due);
        }
    }

    private ManualTimer? NextDue()
    {
        lock (_gate)
        {
            ManualTimer? due = _timers.Where(timer => timer.Due <= _now).MinBy(timer => timer.Due);
            if (due is not null)
            {
                due.Due = due.Period > TimeSpan.Zero ? due.Due + due.Period : DateTimeOffset.MaxValue;
            }

            return due;
        }
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        public DateTimeOffset Due { get; set; } = DateTimeOffset.MaxValue;

        public TimeSpan Period { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            bool isDue;
            lock (time._gate)
            {
                time._timers.Remove(this);
                time._timers.Add(this);
                isDue = dueTime == TimeSpan.Zero;
                TimeSpan next = isDue ? period : dueTime;
                Due = next > TimeSpan.Zero ? time._now + next : DateTimeOffset.MaxValue;
                Period = period;
            }

            if (isDue)
            {
                ThreadPool.QueueUserWorkItem(_ => Call());
            }

            return true;
        }

        public void Call() => callback(state);

        public void Dispose()
        {
            lock (time._gate)
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
