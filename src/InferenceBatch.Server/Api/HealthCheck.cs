using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Finds out how the service is: what running batches have met, whether the data folder can be written, and how the
/// upstream last did. Anybody may ask, so a look serves for some seconds, and an upstream that lines go to is not asked at all.
/// </summary>
internal sealed class HealthCheck(DataFolder folder, Scheduler scheduler, UpstreamControl upstream, HealthIssues issues, TimeProvider time)
{
    private static readonly TimeSpan s_serves = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_upstreamServes = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_upstreamPatience = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private Task<bool>? _probe;
    private DateTimeOffset _probedAt;

    public async Task<Health> CheckAsync()
    {
        if (!scheduler.IsReady)
        {
            return new Health("stopping");
        }

        bool canWrite = await ProbeAsync();
        List<HealthIssue> all = [.. issues.Now];
        if (!canWrite && !all.Exists(issue => issue.Kind == HealthIssues.Storage))
        {
            all.Add(new HealthIssue(HealthIssues.Storage, "The data folder cannot be written: its disk is full or failing, or it was moved away.", _probedAt));
        }

        bool waits = all.Count > 0;
        if (upstream.Status is { State: not UpstreamState.Up } status)
        {
            // An upstream that limits requests and answers some is no reason for an alarm.
            waits |= status.State != UpstreamState.Limited || status.IsHeld;
            all.Add(new HealthIssue(HealthIssues.Upstream, status.Message, status.Since) { State = status.State.ToString().ToLowerInvariant() });
        }

        return new Health(!canWrite ? "not_ready" : waits ? "degraded" : "ready", all);
    }

    /// <summary>Whether the data folder can be written; where nothing was heard of the upstream for long, it is asked too.</summary>
    private Task<bool> ProbeAsync()
    {
        lock (_gate)
        {
            DateTimeOffset now = time.GetUtcNow();
            if (_probe is null || now - _probedAt >= s_serves)
            {
                _probedAt = now;
                _probe = Task.Run(async () =>
                {
                    if (upstream.SinceHeard is not { } since || since > s_upstreamServes)
                    {
                        await upstream.AskAsync(s_upstreamPatience, CancellationToken.None);
                    }

                    return CanWrite();
                });
            }

            return _probe;
        }
    }

    private bool CanWrite()
    {
        try
        {
            using var file = new FileStream(
                folder.NewTemporaryPath(), FileMode.Create, FileAccess.Write, FileShare.None, 0, FileOptions.DeleteOnClose);
            file.Write(new byte[4096]);
            file.Flush(flushToDisk: true);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
