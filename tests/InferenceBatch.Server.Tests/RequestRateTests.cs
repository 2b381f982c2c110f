using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Tests;

public sealed class RequestRateTests
{
    private static readonly TimeSpan s_latency = TimeSpan.FromMilliseconds(50);

    /// <summary>For 15 seconds there is nothing but 429, once a second. Then every line is answered.</summary>
    [Fact]
    public void After_an_outage_of_429_the_rate_grows_within_a_minute()
    {
        var rate = new RequestRate();
        TimeSpan now = TimeSpan.Zero;
        for (int i = 0; i < 16; i++, now += TimeSpan.FromSeconds(1))
        {
            rate.Ended(wasThrottled: true, s_latency, now);
        }

        int lines = 0;
        TimeSpan end = now + TimeSpan.FromMinutes(1);
        for (; now < end; lines++)
        {
            TimeSpan wait = rate.Wait(now);
            now += wait > s_latency ? wait : s_latency;
            rate.Started(now);
            rate.Ended(wasThrottled: false, s_latency, now);
        }

        Assert.True(rate.PerSecond is null or > 20, $"{rate.PerSecond} per second after a minute");
        Assert.InRange(lines, 200, 1_200);
    }
}
