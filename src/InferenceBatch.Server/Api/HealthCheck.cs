using InferenceBatch.Server.Execution;
using InferenceBatch.Server.Execution.Upstreams;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Finds out how the service is: whether the data folder can be written, and how the upstream last did. Anybody may ask,
/// so an answer serves for some seconds, and an upstream that lines go to is not asked at all.
/// </summary>
internal sealed class HealthCheck(DataFolder folder, Scheduler scheduler, WatchedUpstream upstream, TimeProvider time)
{
    private static readonly TimeSpan s_serves = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_upstreamServes = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_upstreamPatience = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private Task<Health>? _last;
    private DateTimeOffset _lastAt;

    public Task<Health> CheckAsync()
    {
        if (!scheduler.IsReady)
        {
            return Task.FromResult(new Health("stopping", "The service is starting or stopping."));
        }

        lock (_gate)
        {
            DateTimeOffset now = time.GetUtcNow();
            if (_last is null || now - _lastAt >= s_serves)
            {
                _lastAt = now;
                _last = Task.Run(RunAsync);
            }

            return _last;
        }
    }

    private async Task<Health> RunAsync()
    {
        if (!CanWrite())
        {
            return new Health("not_ready", "The data folder cannot be written: its disk is full or failing, or somebody took the folder away.");
        }

        if (time.GetUtcNow() - upstream.HeardAt > s_upstreamServes)
        {
            await AskUpstreamAsync();
        }

        return upstream.Failure is { } failure
            ? new Health("degraded", $"The upstream has not done well since {failure.Since:yyyy-MM-ddTHH:mm:ssZ}. {failure.Reason}")
            : new Health("ready");
    }

    private bool CanWrite()
    {
        try
        {
            using var file = new FileStream(
                Path.Combine(folder.TempPath, "health-check"), FileMode.Create, FileAccess.Write, FileShare.None, 0, FileOptions.DeleteOnClose);
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
