namespace InferenceBatch.Server.Webhooks;

/// <summary>When an event that was not taken is sent again: ten attempts over about two days, as Standard Webhooks advises.</summary>
internal static class RetrySchedule
{
    private const double Spread = 0.1;

    private static readonly TimeSpan[] s_waits =
    [
        TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10),
        TimeSpan.FromHours(1), TimeSpan.FromHours(4), TimeSpan.FromHours(12), TimeSpan.FromHours(24),
    ];

    /// <summary>The longest wait there is.</summary>
    public static TimeSpan Longest => s_waits[^1] * (1 + Spread);

    /// <summary>How long to wait after some failed attempts, 10 % more or less so that events do not come in waves; null to give up.</summary>
    public static TimeSpan? WaitAfter(int attempts) => attempts <= s_waits.Length
        ? s_waits[attempts - 1] * (1 - Spread + (2 * Spread * Random.Shared.NextDouble())) : null;
}
