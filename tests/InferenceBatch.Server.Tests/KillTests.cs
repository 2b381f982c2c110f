using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests;

/// <summary>SIGKILL at random instants of upload, validating, running, finalizing, cancelling, expiring and deleting.</summary>
public sealed class KillTests(ITestOutputHelper log)
{
    [Fact]
    public Task Thirty_kills_lose_nothing_and_do_nothing_twice() => RunAsync(30);

    [Fact]
    [Trait("Category", "Long")]
    public Task Three_hundred_kills_lose_nothing_and_do_nothing_twice() => RunAsync(300 * Seed.Rounds);

    private Task RunAsync(int rounds)
    {
        log.WriteLine(Seed.Hint);
        return KillRounds.RunAsync(rounds, Seed.For($"kills {rounds}"), log);
    }
}
