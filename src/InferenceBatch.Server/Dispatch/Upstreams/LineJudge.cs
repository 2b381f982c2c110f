using System.Globalization;
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

    private static readonly TimeSpan s_shortWait = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(0.1);

    private int _retriesThatHelped;
    private int _retriesInVain;

    /// <summary>Judges an attempt that the watch has been told of.</summary>
    /// <param name="attempt">How it ended.</param>
    /// <param name="history">The line's earlier attempts.</param>
    /// <param name="now">The time.</param>
    /// <param name="inFlight">Lines in flight, this one included: one that fails alone fails by itself.</param>
    public Verdict Judge(in Attempt attempt, LineHistory history, int inFlight, TimeSpan now)
    {
        // In an outage, what succeeded before it says nothing; unless all other lines are done.
        bool othersSucceed = watch.OthersSucceed(history) && (!watch.IsHeld || watch.IsLone);
        if (attempt.Kind == AttemptKind.Answered)
        {
            _retriesThatHelped += attempt.IsSuccess && history.FailedAt > 0 ? 1 : 0;
            return new Verdict(history, null);
        }

        bool isLast;
        int attempts = history.Attempts;
        int failures = history.Failures;
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
            case AttemptKind.Refused when watch is { IsLone: true, IsKeyProven: false }:
                isLast = false; // No line is at fault for a key that is refused.
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
            case AttemptKind.Failed:
                // Lines that share a model server's context fail together with a 500 although each is good. So the line is at
                // fault when it fails alone, or again while others succeed; then the failure before counts too.
                // At the end of a file only lines that have failed are left: there they fail together, each by its own fault.
                bool areOnlyBadOnesLeft = !watch.HasFresh && _retriesInVain > _retriesThatHelped;
                bool isItsOwn = inFlight == 1 || ((watch.FailedInARow < Math.Max(2, inFlight / 4) || areOnlyBadOnesLeft) && (othersSucceed || attempts > 0));
                _retriesInVain += isItsOwn && history.FailedAt > 0 ? 1 : 0;
                attempts += !isItsOwn ? 0 : history is { FailedAt: > 0, Attempts: 0 } ? 2 : 1;
                failures += watch.IsHeld ? 0 : 1;
                isLast = (isItsOwn && (attempts >= settings.MaxAttempts || (attempts >= OwnFailures && (othersSucceed || areOnlyBadOnesLeft) && _retriesInVain > _retriesThatHelped)))
                    // However it fails: no line is sent more often while others succeed.
                    || (failures >= settings.MaxAttempts && (othersSucceed || !watch.HasFresh));
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
        history = new LineHistory(attempts, watch.Newest, isThrottled ? history.Throttles + 1 : 0, failures);
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
