using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Determines the health of the service from the issues of running batches, a write test of the data folder, and the state
/// of the upstream. Any caller may request it, so a test is reused for some seconds, and an upstream that lines are sent to
/// gets no extra request.
/// </summary>
internal sealed class HealthCheck(DataFolder folder, Scheduler scheduler, UpstreamControl upstream, HealthIssues issues, TimeProvider time)
{
    private static readonly TimeSpan s_probeLifetime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_upstreamStateLifetime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_upstreamTimeout = TimeSpan.FromSeconds(2);

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
        List<HealthIssue> all = [.. issues.Current];
        if (!canWrite && !all.Exists(issue => issue.Kind == HealthIssues.Storage))
        {
            all.Add(new HealthIssue(HealthIssues.Storage, "The data folder is not writable: the disk is full or failing, or the folder was moved.", _probedAt));
        }

        bool waits = all.Count > 0;
        if (upstream.Status is { State: not UpstreamState.Up } status)
        {
            // An upstream that limits requests but still answers some does not degrade the service.
            waits |= status.State != UpstreamState.Limited || status.IsHeld;
            all.Add(new HealthIssue(HealthIssues.Upstream, status.Message, status.Since) { State = status.State.ToString().ToLowerInvariant() });
        }

        return new Health(!canWrite ? "not_ready" : waits ? "degraded" : "ready", all);
    }

    /// <summary>Returns whether the data folder is writable. Also sends a request to an upstream that has not responded recently.</summary>
    private Task<bool> ProbeAsync()
    {
        lock (_gate)
        {
            DateTimeOffset now = time.GetUtcNow();
            if (_probe is null || now - _probedAt >= s_probeLifetime)
            {
                _probedAt = now;
                _probe = Task.Run(async () =>
                {
                    if (upstream.SinceHeard is not { } since || since > s_upstreamStateLifetime)
                    {
                        await upstream.AskAsync(s_upstreamTimeout, CancellationToken.None);
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
