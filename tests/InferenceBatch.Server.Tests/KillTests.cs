using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests;

/// <summary>SIGKILL at random times during upload, validation, run, finalization, cancellation, expiry and deletion.</summary>
public sealed class KillTests(ITestOutputHelper log)
{
    [Fact]
    public Task Thirty_kills_lose_and_repeat_nothing() => RunAsync(30);

    [Fact]
    [Trait("Category", "Long")]
    public Task Three_hundred_kills_lose_and_repeat_nothing() => RunAsync(300 * Seed.Rounds);

    private Task RunAsync(int rounds)
    {
        log.WriteLine(Seed.Hint);
        return KillRounds.RunAsync(rounds, Seed.For($"kills {rounds}"), log);
    }
}
