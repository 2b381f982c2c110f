using InferenceBatch.Server.Execution;
using InferenceBatch.Server.Execution.Upstreams;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Finds out how the service is: what running batches have met, whether the data folder can be written, and how the
/// upstream last did. Anybody may ask, so a look serves for some seconds, and an upstream that lines go to is not asked at all.
/// </summary>
internal sealed class HealthCheck(DataFolder folder, Scheduler scheduler, WatchedUpstream upstream, Troubles troubles, TimeProvider time)
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
        List<Trouble> all = [.. troubles.Now];
        Add(canWrite ? null : new Trouble(Troubles.Storage, "The data folder cannot be written: its disk is full or failing, or somebody took the folder away.", _probedAt));
        Add(upstream.Failure is { } failure ? new Trouble(Troubles.Upstream, failure.Reason, failure.Since) : null);
        return new Health(!canWrite ? "not_ready" : all.Count > 0 ? "degraded" : "ready", all);

        void Add(Trouble? trouble)
        {
            if (trouble is not null && !all.Exists(one => one.Kind == trouble.Kind))
            {
                all.Add(trouble);
            }
        }
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
                    if (time.GetUtcNow() - upstream.HeardAt > s_upstreamServes)
                    {
                        await AskUpstreamAsync();
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

    private async Task AskUpstreamAsync()
    {
        using var patience = new CancellationTokenSource(s_upstreamPatience, time);
        try
        {
            (await upstream.ListModelsAsync(patience.Token)).Dispose();
        }
        catch (UpstreamException)
        {
            // The upstream's watch has noted it.
        }
        catch (OperationCanceledException)
        {
            upstream.NoteFailure($"It did not list its models within {s_upstreamPatience.TotalSeconds:0} s.");
        }
    }
}
