namespace InferenceBatch.Server.Webhooks;

/// <summary>The waits between attempts to deliver an event: ten attempts within about two days, as Standard Webhooks recommends.</summary>
internal static class RetrySchedule
{
    private const double Jitter = 0.1;

    private static readonly TimeSpan[] s_waits =
    [
        TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10),
        TimeSpan.FromHours(1), TimeSpan.FromHours(4), TimeSpan.FromHours(12), TimeSpan.FromHours(24),
    ];

    /// <summary>The maximum wait.</summary>
    public static TimeSpan MaxWait => s_waits[^1] * (1 + Jitter);

    /// <summary>Returns the wait after this number of failed attempts, up to 10 % more or less, so that retries do not come in waves; null to give up.</summary>
    public static TimeSpan? WaitAfter(int attempts) => attempts <= s_waits.Length
        ? s_waits[attempts - 1] * (1 - Jitter + (2 * Jitter * Random.Shared.NextDouble())) : null;
}
