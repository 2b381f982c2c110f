namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How long to pause before the next probe while lines are held.</summary>
internal static class ProbePause
{
    /// <summary>The longest pause that an upstream can request while it limits requests.</summary>
    public static readonly TimeSpan MaxRequested = TimeSpan.FromHours(1);

    /// <summary>The longest pause that an upstream can request otherwise: a server does not remember its request after a restart.</summary>
    private static readonly TimeSpan s_maxRequestedInOutage = TimeSpan.FromMinutes(1);

    /// <summary>The shortest pause that an upstream can request while it limits requests.</summary>
    private static readonly TimeSpan s_minRequested = TimeSpan.FromMilliseconds(25);

    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_max = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan s_maxAfterFailure = TimeSpan.FromSeconds(2);

    /// <summary>Returns the pause that the upstream requests, or one that doubles each time.</summary>
    /// <param name="state">The state of the upstream.</param>
    /// <param name="attempt">The last attempt.</param>
    /// <param name="number">The number of pauses before this one.</param>
    public static TimeSpan After(UpstreamState state, in Attempt attempt, int number)
    {
        bool isLimited = state == UpstreamState.Limited;
        TimeSpan pause = attempt.RetryAfter is { } requested
            ? Min(requested, isLimited ? MaxRequested : s_maxRequestedInOutage)
            : Min(s_first * Math.Pow(2, Math.Min(number, 10)), attempt.Kind == AttemptKind.Failed ? s_maxAfterFailure : s_max);
        TimeSpan min = isLimited ? s_minRequested : s_first;
        return pause > min ? pause : min;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
