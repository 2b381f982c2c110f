using System.Collections;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Tests;

/// <summary>The states of the lines of a run.</summary>
public sealed class RunQueueTests
{
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    [Fact]
    public void Lines_with_a_result_are_not_taken()
    {
        var queue = new RunQueue(new BitArray([true, false, true, false]));
        Assert.Equal([1, 3], Take(queue, 2));
        Assert.False(queue.HasNext);
    }

    [Fact]
    public void A_line_waits_until_its_retry_is_due_and_is_then_sent_before_fresh_lines()
    {
        var queue = new RunQueue(new BitArray(3));
        QueuedLine first = queue.Take(isProbe: false) with { History = new LineHistory(1) };
        queue.Retry(first, due: 2 * s_second, earliest: s_second);
        queue.EndAttempt();
        Assert.Equal(2 * s_second, queue.NextDue);
        queue.ReleaseDue(1.9 * s_second);
        Assert.Equal(1, queue.Peek(isProbe: false));
        queue.ReleaseDue(2 * s_second);
        Assert.Equal(TimeSpan.MaxValue, queue.NextDue);
        Assert.Equal(1, queue.Peek(isProbe: true)); // A probe is a fresh line.
        Assert.Equal(first, queue.Take(isProbe: false));
    }

    [Fact]
    public void Waiting_lines_may_be_sent_early()
    {
        var queue = new RunQueue(new BitArray(2));
        QueuedLine[] lines = [queue.Take(isProbe: false), queue.Take(isProbe: false)];
        queue.Retry(lines[0], due: 9 * s_second, earliest: 5 * s_second);
        queue.Retry(lines[1], due: 8 * s_second, earliest: s_second);
        Assert.Equal(s_second, queue.FindEarliest());
        queue.ReleaseEarly(s_second);
        Assert.Equal([1], Take(queue, 1));
        Assert.False(queue.HasNext);
        Assert.Equal((1, 9 * s_second), (queue.Waiting, queue.NextDue));
    }

    [Fact]
    public void A_stopped_queue_hands_out_nothing_and_is_idle_when_no_line_is_in_flight()
    {
        var queue = new RunQueue(new BitArray(3));
        QueuedLine[] lines = [queue.Take(isProbe: false), queue.Take(isProbe: false)];
        queue.RetryNow(lines[0]);
        queue.EndAttempt();
        Task idle = queue.Stop();
        Assert.False(queue.HasNext || queue.HasFresh || idle.IsCompleted);
        queue.Retry(lines[1], s_second, s_second);
        queue.EndAttempt();
        Assert.True(idle.IsCompleted);
        Assert.Equal(0, queue.Waiting);
        Assert.False(queue.IsDone(1));
    }

    private static List<int> Take(RunQueue queue, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => queue.Take(isProbe: false).Index)];
}
