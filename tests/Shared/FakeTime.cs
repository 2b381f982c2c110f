using Microsoft.Extensions.Time.Testing;

namespace InferenceBatch;

/// <summary>
/// Time that a test controls. By default, a wait ends at once: the time advances by its length, and <see cref="Waits"/> lists it. A time
/// limit (a timer of a <see cref="CancellationTokenSource"/>) is not a wait: it ends when <see cref="FakeTimeProvider.Advance"/> reaches it.
/// </summary>
internal sealed class FakeTime() : FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero))
{
    private readonly Lock _lock = new();
    private readonly List<FakeTimer> _timers = [];
    private readonly List<TimeSpan> _waits = [];
    private TaskCompletionSource? _nextLimit;
    private long _skippedTicks;
    private long _clockOffsetTicks;

    /// <summary>Whether waits end at once. If not, they end when the test advances the time, as time limits do.</summary>
    public bool SkipsWaits { get; init; } = true;

    /// <summary>The waits that ended at once, in order.</summary>
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

    // FakeTimeProvider.GetUtcNow runs timers that are due, so it must not be called while the lock is held.
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref _skippedTicks) + Interlocked.Read(ref _clockOffsetTicks));

    public override long GetTimestamp() => base.GetUtcNow().Ticks + Interlocked.Read(ref _skippedTicks);

    /// <summary>Sets the clock forward or back, as a user or NTP does: timers and timestamps are not affected.</summary>
    public void SetClock(TimeSpan by) => Interlocked.Add(ref _clockOffsetTicks, by.Ticks);

    /// <summary>Returns a task that ends when the next time limit is set.</summary>
    public Task NextLimit()
    {
        lock (_lock)
        {
            return (_nextLimit ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>Waits until a timer is due after exactly this time from now.</summary>
    public async Task TimerAsync(TimeSpan due)
    {
        while (!HasTimer(due))
        {
            await Task.Delay(5);
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        bool isLimit = state is CancellationTokenSource;
        ITimer inner = base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        var timer = new FakeTimer(this, inner, () => callback(state), SkipsWaits && !isLimit);
        timer.Change(dueTime, period);
        if (isLimit)
        {
            lock (_lock)
            {
                _nextLimit?.SetResult();
                _nextLimit = null;
            }
        }

        return timer;
    }

    private bool HasTimer(TimeSpan due)
    {
        DateTimeOffset time = base.GetUtcNow() + due;
        lock (_lock)
        {
            return _timers.Exists(timer => timer.Due == time);
        }
    }

    private DateTimeOffset DueIn(TimeSpan time) => time < TimeSpan.Zero ? DateTimeOffset.MaxValue : base.GetUtcNow() + time;

    /// <summary>Runs a callback on the thread pool if it is due at once, as real timers do, and leaves the rest to the inner timer.</summary>
    private sealed class FakeTimer(FakeTime time, ITimer inner, Action fire, bool isSkipped) : ITimer
    {
        public DateTimeOffset Due { get; private set; } = DateTimeOffset.MaxValue;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            bool skip = isSkipped && dueTime != Timeout.InfiniteTimeSpan;
            bool isDue = skip || dueTime == TimeSpan.Zero;
            TimeSpan next = !isDue ? dueTime : skip || period <= TimeSpan.Zero ? Timeout.InfiniteTimeSpan : period;
            DateTimeOffset due = time.DueIn(next);
            lock (time._lock)
            {
                if (skip)
                {
                    // Unlike Advance, this does not end time limits.
                    Interlocked.Add(ref time._skippedTicks, dueTime.Ticks);
                    time._waits.Add(dueTime);
                }

                Due = due;
                time._timers.Remove(this);
                time._timers.Add(this);
            }

            if (isDue)
            {
                ThreadPool.QueueUserWorkItem(_ => fire());
            }

            return inner.Change(next, period);
        }

        public void Dispose()
        {
            lock (time._lock)
            {
                time._timers.Remove(this);
            }

            inner.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
