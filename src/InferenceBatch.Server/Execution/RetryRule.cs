namespace InferenceBatch.Server.Execution;

/// <summary>When a line is sent again, and after how long.</summary>
/// <param name="maxAttempts">How often a line is sent at most.</param>
internal sealed class RetryRule(int maxAttempts)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan s_longestAsked = TimeSpan.FromSeconds(120);

    /// <summary>Statuses worth another try, as OpenAI's clients have it; every other one is the line's answer.</summary>
    public static bool IsPassing(int statusCode) => statusCode is 408 or 409 or 429 or >= 500;

    /// <summary>Statuses that say the upstream has too much to do.</summary>
    public static bool IsStrain(int statusCode) => statusCode is 408 or 429 or >= 500;

    public bool MayTryAgain(int attempts) => attempts < maxAttempts;

    /// <summary>How long to wait after some attempts: what was asked for (up to 120 s), else at random up to 0.5 s doubling to 8 s.</summary>
    public static TimeSpan Wait(int attempts, TimeSpan? asked)
    {
        if (asked is { } wait)
        {
            return wait < s_longestAsked ? wait : s_longestAsked;
        }

        double most = Math.Min(s_longestWait.TotalSeconds, s_firstWait.TotalSeconds * Math.Pow(2, attempts - 1));
        return TimeSpan.FromSeconds(most * Random.Shared.NextDouble());
    }
}
