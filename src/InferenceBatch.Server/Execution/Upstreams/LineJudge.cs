using System.Globalization;
using InferenceBatch.Http;

namespace InferenceBatch.Server.Execution.Upstreams;

/// <summary>
/// Decides what becomes of a line after an attempt. An attempt counts against a line only where the line may be at fault: a
/// 429 or a refused connection never does; a refusal or a 503 does when lines that were sent later have succeeded.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class LineJudge(EngineSettings settings, UpstreamWatch watch, RequestRate rate)
{
    /// <summary>A 500 that comes this often for a line, while lines sent later succeed, is the line's own.</summary>
    private const int OwnFailures = 3;

    private static readonly TimeSpan s_shortWait = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(0.1);

    private int _retriesThatHelped;
    private int _retriesInVain;

    /// <summary>Judges an attempt that the watch has been told of.</summary>
    /// <param name="attempt">How it ended.</param>
    /// <param name="history">The line's earlier attempts.</param>
    /// <param name="now">The time.</param>
    /// <param name="wasAlone">Whether no other line was in flight: then no other can have caused its failure.</param>
    public Verdict Judge(in Attempt attempt, LineHistory history, bool wasAlone, TimeSpan now)
    {
        bool othersSucceed = watch.OthersSucceed(history);
        if (attempt.Kind == AttemptKind.Answered)
        {
            _retriesThatHelped += attempt.IsSuccess && history.FailedAt > 0 ? 1 : 0;
            return new Verdict(history, null);
        }

        bool isLast;
        int attempts = history.Attempts;
        switch (attempt.Kind)
        {
            case AttemptKind.Throttled or AttemptKind.Unreachable:
                isLast = false;
                break;
            case AttemptKind.Refused:
                isLast = othersSucceed;
                break;
            case AttemptKind.Unavailable:
                // The attempt before counts once others have succeeded since; this one, if it would be the last.
                attempts += othersSucceed ? 1 : 0;
                isLast = othersSucceed && attempts + 1 >= settings.MaxAttempts;
                break;
            case AttemptKind.Broken:
                attempts += watch.IsHeld && !othersSucceed ? 0 : 1;
                isLast = attempts >= settings.MaxAttempts;
                break;
            case AttemptKind.Failed:
                // Lines that share a model server's context fail together with a 500 although each is good. So the line is at
                // fault when it fails alone, or again while others succeed; then the failure before counts too.
                bool isItsOwn = wasAlone || othersSucceed || attempts > 0;
                _retriesInVain += isItsOwn && history.FailedAt > 0 ? 1 : 0;
                attempts += !isItsOwn ? 0 : history is { FailedAt: > 0, Attempts: 0 } ? 2 : 1;
                isLast = isItsOwn && (attempts >= settings.MaxAttempts || (attempts >= OwnFailures && _retriesInVain > _retriesThatHelped));
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
        history = new LineHistory(attempts, watch.Newest, isThrottled ? history.Throttles + 1 : 0);
        int tries = Math.Max(1, isThrottled ? history.Throttles : attempts);
        TimeSpan wait = watch.IsHeld ? TimeSpan.Zero
            : attempt.RetryAfter is { } asked ? asked
            : attempt.Kind == AttemptKind.Failed && (tries < OwnFailures || watch.IsAnswering(now)) ? s_shortWait * Math.Pow(2, tries - 1)
            // The rate throttles all lines together: a long wait for each would leave the upstream idle.
            : isThrottled && rate.PerSecond is not null ? s_soon
            : RetryRules.Backoff(tries);
        TimeSpan soonest = s_soon * (isThrottled ? 1 : Math.Pow(2, Math.Min(tries - 1, 6)));
        return new Verdict(history, wait, attempt.RetryReason)
        {
            Soonest = watch.IsAnswering(now) && soonest < wait ? soonest : wait,
            GivesUp = settings.GivesUpOnUpstream && watch.IsHopeless(now)
                ? string.Create(CultureInfo.InvariantCulture, $"The upstream has been away for {watch.Patience.TotalSeconds:0} s: {attempt.Reason} Nothing is lost: the same command resumes.") : null,
        };
    }
}
