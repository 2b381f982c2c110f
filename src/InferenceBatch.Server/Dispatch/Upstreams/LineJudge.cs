using InferenceBatch.Http;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Decides what becomes of a line after an attempt. An attempt counts against a line only where the line may be at fault: a
/// 429 or a refused connection never does; a refusal or a 503 does when lines that were sent later have succeeded.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class LineJudge(EngineSettings settings, UpstreamWatch watch, RequestRate rate)
{
    /// <summary>A 500 that comes this often for a line, while lines sent later succeed, is the line's own.</summary>
    private const int OwnFailures = 3;

    /// <summary>So often, at least, one of several backends may refuse a line that the others take.</summary>
    private const int LeastRefusals = 5;

    /// <summary>A line that has failed this often by itself is not excused when it fails together with others.</summary>
    private const int MostExcused = 2;

    /// <summary>So many lines that fail one after another may all be bad.</summary>
    private const int FewLines = 2;

    /// <summary>However long an upstream asks a single line to wait.</summary>
    private static readonly TimeSpan s_longestAsked = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan s_alone = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_shortWait = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(0.1);

    private int _retriesThatHelped;
    private int _retriesInVain;

    /// <summary>Whether lines that failed (500) mostly succeeded later.</summary>
    public bool RetriesHelp => _retriesInVain <= _retriesThatHelped;

    /// <summary>Judges an attempt that the watch has been told of.</summary>
    /// <param name="attempt">How it ended.</param>
    /// <param name="history">The line's earlier attempts.</param>
    /// <param name="now">The time.</param>
    /// <param name="isStrain">Whether it failed together with others, see <see cref="UpstreamWatch.FailedByItself"/>.</param>
    public Verdict Judge(in Attempt attempt, LineHistory history, bool isStrain, TimeSpan now)
    {
        // In an outage, what succeeded before it says nothing; unless all other lines are done.
        bool othersSucceed = watch.OthersSucceed(history) && (!watch.IsHeld || watch.IsLone);
        if (attempt.Kind == AttemptKind.Answered)
        {
            _retriesThatHelped += attempt.IsSuccess && history.FailedAt > 0 ? 1 : 0;
            return new Verdict(history, null);
        }

        bool isLast;
        // Whether a failure was one of many that failed together is known when its round has ended.
        int attempts = history.Attempts + (history.Round != 0 && (!watch.Rounds.WasStrain(history.Round) || history.Attempts >= MostExcused) ? 1 : 0);
        long round = 0;
        switch (attempt.Kind)
        {
            case AttemptKind.Throttled or AttemptKind.Unreachable:
                isLast = false;
                break;
            case AttemptKind.Refused when attempt.IsForbidden:
                // A moderated line among good ones. Twice, for a key may be refused between two answers.
                isLast = othersSucceed && attempts > 0;
                attempts += othersSucceed ? 1 : 0;
                break;
            case AttemptKind.Unavailable or AttemptKind.Refused:
                // The attempt before counts once others have succeeded since; this one, if it would be the last.
                attempts += othersSucceed ? 1 : 0;
                isLast = othersSucceed && attempts + 1 >= (attempt.Kind == AttemptKind.Refused ? Math.Max(LeastRefusals, settings.MaxAttempts) : settings.MaxAttempts);
                break;
            case AttemptKind.Broken:
                attempts += watch.IsHeld && !othersSucceed ? 0 : 1;
                isLast = attempts >= settings.MaxAttempts;
                break;
            case AttemptKind.Failed when watch.IsHeld:
                isLast = false;
                break;
            case AttemptKind.Failed when isStrain && attempts < MostExcused:
                isLast = false;
                break;
            case AttemptKind.Failed:
                round = watch.Rounds.Number;
                isLast = IsLastFailure(attempts, othersSucceed);
                break;
            default:
                attempts++;
                isLast = attempts >= settings.MaxAttempts;
                break;
        }

        if (isLast)
        {
            if (othersSucceed && attempt.Kind is (AttemptKind.Unavailable or AttemptKind.Refused))
            {
                watch.Acquit(now);
            }

            return new Verdict(history with { Attempts = attempts }, null);
        }

        bool isThrottled = attempt.Kind == AttemptKind.Throttled;
        history = new LineHistory(attempts, watch.Newest, isThrottled ? history.Throttles + 1 : 0, round);
        int tries = Math.Max(1, isThrottled ? history.Throttles : attempts + (round != 0 ? 1 : 0));
        TimeSpan wait = watch.IsHeld ? TimeSpan.Zero
            : attempt.RetryAfter is { } asked ? (asked < s_longestAsked ? asked : s_longestAsked)
            : attempt.Kind == AttemptKind.Failed ? WaitAfterFailure(tries, now)
            // The rate throttles all lines together: a long wait for each would leave the upstream idle.
            : isThrottled && rate.PerSecond is not null ? s_soon
            : RetryRules.Backoff(tries);
        TimeSpan soonest = s_soon * (isThrottled && rate.PerSecond is not null ? 1 : Math.Pow(2, Math.Min(tries - 1, 6)));
        return new Verdict(history, wait, attempt.RetryReason)
        {
            MinWait = watch.IsAnswering(now) && soonest < wait ? soonest : wait,
            RunError = settings.GivesUpOnUpstream && watch.IsHopeless(now) ? UpstreamMessage.GivesUp(attempt, watch.LongestHold) : null,
        };
    }

    /// <summary>
    /// Whether a 500 is the line's result. Lines that share a model server's context fail together although each is good:
    /// that is no attempt. A failure is the line's own where others succeed, and nothing else can be known when no other
    /// line is left.
    /// </summary>
    private bool IsLastFailure(int attempts, bool othersSucceed)
    {
        bool isAlone = !watch.HasFresh || watch.IsFailing;
        _retriesInVain += attempts > 0 && (othersSucceed || watch.IsFailing) ? 1 : 0;
        return attempts + 1 >= settings.MaxAttempts ? othersSucceed || isAlone || settings.MaxAttempts == 1
            : attempts + 1 >= OwnFailures && !RetriesHelp && (othersSucceed || AreOnlyBadOnesLeft);
    }

    /// <summary>At the end of a file only lines that have failed are left, and so far such lines have failed again.</summary>
    private bool AreOnlyBadOnesLeft => !watch.HasFresh && !RetriesHelp && watch.LinesFailedInARow <= FewLines;

    /// <summary>Varied, so that lines that failed together are not sent together again.</summary>
    private TimeSpan WaitAfterFailure(int tries, TimeSpan now) => (0.75 + (Random.Shared.NextDouble() / 2)) * (
        watch.IsFailing || AreOnlyBadOnesLeft || (watch.IsAnswering(now) && (tries < OwnFailures || !RetriesHelp)) ? s_shortWait * Math.Pow(2, tries - 1)
        // No other line shows whether it is an outage: it gets some time to pass.
        : watch.HasFresh ? RetryRules.Backoff(tries) : s_alone * Math.Pow(2, tries - 1));
}
