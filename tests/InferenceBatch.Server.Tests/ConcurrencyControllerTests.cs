using InferenceBatch.Server.Execution;

namespace InferenceBatch.Server.Tests;

public sealed class ConcurrencyControllerTests
{
    [Fact]
    public void Starts_at_16_and_doubles_each_round_trip_up_to_the_cap()
    {
        var controller = new ConcurrencyController(null);
        Assert.Equal(16, controller.Limit);
        RoundTrip(controller);
        Assert.Equal(32, controller.Limit);
        RoundTrip(controller);
        Assert.Equal(64, controller.Limit);
        RoundTrip(controller);
        RoundTrip(controller);
        RoundTrip(controller);
        Assert.Equal(ConcurrencyController.DefaultCap, controller.Limit);
    }

    [Fact]
    public void Halves_once_a_round_trip_and_then_adds_one()
    {
        var controller = new ConcurrencyController(null);
        RoundTrip(controller);
        long[] tickets = [.. Enumerable.Range(0, 32).Select(_ => controller.Started())];
        foreach (long ticket in tickets)
        {
            controller.Ended(ticket, wasStrained: true, wasFull: true);
        }

        Assert.Equal(16, controller.Limit);
        RoundTrip(controller);
        RoundTrip(controller);
        Assert.InRange(controller.Limit, 17, 18);
    }

    [Fact]
    public void Never_goes_above_what_was_said_nor_below_one()
    {
        var controller = new ConcurrencyController(3);
        RoundTrip(controller);
        Assert.Equal(3, controller.Limit);
        for (int i = 0; i < 10; i++)
        {
            controller.Ended(controller.Started(), wasStrained: true, wasFull: true);
        }

        Assert.Equal(1, controller.Limit);
    }

    [Fact]
    public void Does_not_grow_while_the_limit_is_not_in_use()
    {
        var controller = new ConcurrencyController(null);
        for (int i = 0; i < 100; i++)
        {
            controller.Ended(controller.Started(), wasStrained: false, wasFull: false);
        }

        Assert.Equal(16, controller.Limit);
    }

    private static void RoundTrip(ConcurrencyController controller)
    {
        long[] tickets = [.. Enumerable.Range(0, controller.Limit).Select(_ => controller.Started())];
        foreach (long ticket in tickets)
        {
            controller.Ended(ticket, wasStrained: false, wasFull: true);
        }
    }
}
