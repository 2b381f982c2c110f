
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Tests;

/// <summary>The number of lines in flight, with simulated model servers and a simulated clock.</summary>
public sealed class ConcurrencyLimiterTests
{
    /// <summary>A server queues the lines for which it has no slot, so more lines in flight only wait there.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(8)]
    [InlineData(24)]
    [InlineData(64)]
    public void Settles_within_a_third_of_the_slots_of_a_server_that_queues(int slots)
    {
        var simulation = new Simulation(new ConcurrencyLimiter(null), slots);
        simulation.Run(lines: 60 * Math.Max(slots, 4));
        simulation.MeanInFlight(lines: 100 * slots, out double mean, out double rate);
        Assert.InRange(mean, slots * 2.0 / 3, slots * 4.0 / 3);
        Assert.True(rate >= 0.85 * slots, $"{rate:0.0} answers per second with {slots} slots");
    }

    [Fact]
    public void Grows_to_the_cap_if_more_lines_in_flight_increase_the_throughput()
    {
        var limiter = new ConcurrencyLimiter(null);
        new Simulation(limiter, slots: 10_000).Run(lines: 3000);
        Assert.Equal(ConcurrencyLimiter.DefaultCap, limiter.Limit);
    }

    [Fact]
    public void Follows_a_server_that_gets_more_slots()
    {
        var limiter = new ConcurrencyLimiter(null);
        var simulation = new Simulation(limiter, slots: 4);
        simulation.Run(lines: 400);
        simulation.Slots = 16;
        simulation.Run(lines: 4000);
        simulation.MeanInFlight(lines: 2000, out double mean, out _);
        Assert.InRange(mean, 11, 21);
    }

    [Fact]
    public void Starts_low_after_an_outage_and_doubles_with_each_round_trip()
    {
        var limiter = new ConcurrencyLimiter(null);
        var simulation = new Simulation(limiter, slots: 10_000);
        simulation.Run(lines: 3000);
        limiter.Restart();
        Assert.Equal(2, limiter.Limit);
        simulation.Run(lines: 2);
        Assert.Equal(4, limiter.Limit);
        simulation.Run(lines: 300);
        Assert.Equal(ConcurrencyLimiter.DefaultCap, limiter.Limit);
    }

    [Fact]
    public void A_configured_number_is_used_from_the_start_and_never_exceeded()
    {
        var limiter = new ConcurrencyLimiter(3);
        Assert.Equal(3, limiter.Limit);
        new Simulation(limiter, slots: 100).Run(lines: 100);
        Assert.Equal(3, limiter.Limit);
    }

    [Fact]
    public void Overload_halves_once_per_round_trip_and_never_below_one()
    {
        var limiter = new ConcurrencyLimiter(32);
        for (long ticket = 1; ticket <= 32; ticket++)
        {
            limiter.Started(ticket);
        }

        for (long ticket = 1; ticket <= 32; ticket++)
        {
            limiter.Overloaded(ticket);
        }

        Assert.Equal(16, limiter.Limit);
        for (long ticket = 33; ticket < 50; ticket++)
        {
            limiter.Started(ticket);
            limiter.Overloaded(ticket);
        }

        Assert.Equal(1, limiter.Limit);
    }

    [Fact]
    public void Does_not_grow_while_the_limit_is_not_reached()
    {
        var limiter = new ConcurrencyLimiter(null);
        int first = limiter.Limit;
        for (long ticket = 1; ticket <= 500; ticket++)
        {
            limiter.Started(ticket);
            limiter.Answered(ticket, wasFull: false, TimeSpan.FromSeconds(ticket));
        }

        Assert.Equal(first, limiter.Limit);
    }

    /// <summary>A server that processes some lines at once, for about a second each, and queues the others in order.</summary>
    private sealed class Simulation(ConcurrencyLimiter limiter, int slots)
    {
        private readonly PriorityQueue<long, double> _working = new();
        private readonly Queue<long> _queued = new();
        private readonly Random _random = new(11);
        private double _now;
        private long _ticket;
        private double _lineSeconds;

        public int Slots { get; set; } = slots;

        public void Run(int lines)
        {
            for (int ended = 0; ended < lines; ended++)
            {
                while (_working.Count + _queued.Count < limiter.Limit)
                {
                    limiter.Started(++_ticket);
                    _queued.Enqueue(_ticket);
                    Work();
                }

                int inFlight = _working.Count + _queued.Count;
                _working.TryDequeue(out long ticket, out double end);
                _lineSeconds += inFlight * (end - _now);
                _now = end;
                limiter.Answered(ticket, wasFull: inFlight >= limiter.Limit, TimeSpan.FromSeconds(_now));
                Work();
            }
        }

        public void MeanInFlight(int lines, out double mean, out double rate)
        {
            (double begin, _lineSeconds) = (_now, 0);
            Run(lines);
            mean = _lineSeconds / (_now - begin);
            rate = lines / (_now - begin);
        }

        private void Work()
        {
            while (_working.Count < Slots && _queued.TryDequeue(out long next))
            {
                _working.Enqueue(next, _now + 0.9 + (0.2 * _random.NextDouble()));
            }
        }
    }
}
