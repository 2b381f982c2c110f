using InferenceBatch.Http;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Decides what to do with a line after an attempt. An attempt counts against a line only if the line may be at fault: a 429
/// or a refused connection never counts; a refusal or a 503 counts if lines that were sent later have succeeded.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class LineJudge(EngineSettings settings, UpstreamWatch watch, RequestRate rate)
{
    /// <summary>If a line gets this many 500s while lines that were sent later succeed, the line is at fault.</summary>
    private const int MaxOwnFailures = 3;

    /// <summary>A line is refused at least this often before it fails, because one of several backends may refuse what the others accept.</summary>
    private const int MinRefusals = 5;

    /// <summary>If a line has failed this often by itself, a failure together with other lines counts too.</summary>
    private const int MaxExcused = 2;

    /// <summary>This many lines that fail one after another may all be bad.</summary>
    private const int FewLines = 2;

    /// <summary>The longest wait that an upstream can request for a single line.</summary>
    private static readonly TimeSpan s_maxRequested = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan s_waitAlone = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_shortWait = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan s_shortestEarly = TimeSpan.FromSeconds(0.1);

    private int _successfulRetries;
    private int _failedRetries;

    /// <summary>Whether most lines that failed (500) succeeded later.</summary>
    public bool RetriesHelp => _failedRetries <= _successfulRetries;

    /// <summary>Judges an attempt that <see cref="UpstreamWatch"/> has recorded.</summary>
    /// <param name="attempt">How it ended.</param>
    /// <param name="history">The earlier attempts at the line.</param>
    /// <param name="now">The time.</param>
    /// <param name="isOverload">Whether it failed together with others, see <see cref="UpstreamWatch.FailedByItself"/>.</param>
    public Verdict Judge(in Attempt attempt, LineHistory history, bool isOverload, TimeSpan now)
    {
        // During an outage, earlier successes say nothing, unless all other lines are done.
        bool othersSucceed = watch.OthersSucceed(history) && (!watch.IsHeld || watch.HasOnlyFailedLines);
        if (attempt.Kind == AttemptKind.Answered)
        {
            _successfulRetries += attempt.IsSuccess && history.FailedAt > 0 ? 1 : 0;
            return new Verdict(history, null);
        }

        bool isLast;
        // Whether a line failed together with others is known only after its round has ended.
        int attempts = history.Attempts + (history.Round != 0 && (!watch.Rounds.WasOverload(history.Round) || history.Attempts >= MaxExcused) ? 1 : 0);
        long round = 0;
        switch (attempt.Kind)
        {
            case AttemptKind.Throttled or AttemptKind.Unreachable:
                isLast = false;
                break;
            case AttemptKind.Refused when attempt.IsForbidden:
                // A moderated line among good ones. It is judged at the second failure, because a key may be revoked between two answers.
                isLast = othersSucceed && attempts > 0;
                attempts += othersSucceed ? 1 : 0;
                break;
            case AttemptKind.Unavailable or AttemptKind.Refused:
                // The previous attempt counts if others have succeeded since. This attempt counts if it would be the last one.
                attempts += othersSucceed ? 1 : 0;
                isLast = othersSucceed && attempts + 1 >= (attempt.Kind == AttemptKind.Refused ? Math.Max(MinRefusals, settings.MaxAttempts) : settings.MaxAttempts);
                break;
            case AttemptKind.Broken:
                attempts += watch.IsHeld && !othersSucceed ? 0 : 1;
                isLast = attempts >= settings.MaxAttempts;
                break;
            case AttemptKind.Failed when watch.IsHeld:
                isLast = false;
                break;
            case AttemptKind.Failed when isOverload && attempts < MaxExcused:
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
                watch.BlameLines(now);
            }

            return new Verdict(history with { Attempts = attempts }, null);
        }

        bool isThrottled = attempt.Kind == AttemptKind.Throttled;
        history = new LineHistory(attempts, watch.NewestTicket, isThrottled ? history.Throttles + 1 : 0, round);
        int failures = Math.Max(1, isThrottled ? history.Throttles : attempts + (round != 0 ? 1 : 0));
        TimeSpan wait = watch.IsHeld ? TimeSpan.Zero
            : attempt.RetryAfter is { } requested ? (requested < s_maxRequested ? requested : s_maxRequested)
            : attempt.Kind == AttemptKind.Failed ? WaitAfterFailure(failures, now)
            // The rate limits all lines together. A long wait for each line would leave the upstream idle.
            : isThrottled && rate.PerSecond is not null ? s_shortestEarly
            : RetryRules.Backoff(failures);
        TimeSpan early = s_shortestEarly * (isThrottled && rate.PerSecond is not null ? 1 : Math.Pow(2, Math.Min(failures - 1, 6)));
        return new Verdict(history, wait, attempt.RetryReason)
        {
            MinWait = watch.IsAnswering(now) && early < wait ? early : wait,
            RunError = settings.GivesUpOnUpstream && watch.IsHopeless(now) ? UpstreamMessage.OfGivingUp(attempt, watch.MaxHold) : null,
        };
    }

    /// <summary>
    /// Whether a 500 is the result of the line. Lines that share the context of a model server fail together although each is
    /// good, which does not count as an attempt. A failure is the line's own if others succeed. If no other line is left, there
    /// is no other evidence, so it counts as the line's own too.
    /// </summary>
    private bool IsLastFailure(int attempts, bool othersSucceed)
    {
        bool isAlone = !watch.HasFresh || watch.IsFailing;
        _failedRetries += attempts > 0 && (othersSucceed || watch.IsFailing) ? 1 : 0;
        return attempts + 1 >= settings.MaxAttempts ? othersSucceed || isAlone || settings.MaxAttempts == 1
            : attempts + 1 >= MaxOwnFailures && !RetriesHelp && (othersSucceed || HasOnlyBadLines);
    }

    /// <summary>Whether only lines that have failed are left at the end of a file, and such lines have mostly failed again.</summary>
    private bool HasOnlyBadLines => !watch.HasFresh && !RetriesHelp && watch.LinesFailedInARow <= FewLines;

    /// <summary>The wait varies, so that lines that failed together are not retried together.</summary>
    private TimeSpan WaitAfterFailure(int failures, TimeSpan now) => (0.75 + (Random.Shared.NextDouble() / 2)) * (
        watch.IsFailing || HasOnlyBadLines || (watch.IsAnswering(now) && (failures < MaxOwnFailures || !RetriesHelp)) ? s_shortWait * Math.Pow(2, failures - 1)
        // No other line shows whether this is an outage, so wait long enough for a short one to end.
        : watch.HasFresh ? RetryRules.Backoff(failures) : s_waitAlone * Math.Pow(2, failures - 1));
}
