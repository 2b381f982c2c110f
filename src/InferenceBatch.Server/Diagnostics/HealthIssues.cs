namespace InferenceBatch.Server.Diagnostics;

/// <summary>
/// The current problems that keep lines from making progress. The log has the beginning and end of each, and <c>/healthz</c>
/// lists the current ones, because OpenAI's batch object has no field for the reason of a wait.
/// </summary>
internal sealed class HealthIssues(TimeProvider time, ILogger logger)
{
    /// <summary>The upstream is away, refuses requests, or limits them: see <c>UpstreamControl.Status</c>.</summary>
    public const string Upstream = "upstream";

    /// <summary>The disk is full or failing.</summary>
    public const string Storage = "storage";

    public const string StorageMessage = "Results cannot be stored: the disk is full or failing. Running batches wait, and resume when the disk accepts data again.";

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Kind, string Source), HealthIssue> _all = [];
    private volatile bool _any;

    /// <summary>Returns the current issues: the oldest one of each kind.</summary>
    public IReadOnlyList<HealthIssue> Current
    {
        get
        {
            lock (_gate)
            {
                return [.. _all.Values.GroupBy(issue => issue.Kind).Select(kind => kind.MinBy(issue => issue.Since)!)];
            }
        }
    }

    /// <summary>Adds an issue, unless the source already has one of this kind.</summary>
    /// <param name="kind">One of the constants here.</param>
    /// <param name="source">What has the issue, such as the ID of a batch.</param>
    /// <param name="message">See <see cref="HealthIssue.Message"/>.</param>
    /// <param name="details">Details for the log only.</param>
    public void Begin(string kind, string source, string message, string details)
    {
        lock (_gate)
        {
            if (_all.TryAdd((kind, source), new HealthIssue(kind, message, time.GetUtcNow())))
            {
                _any = true;
                Log.HealthIssueBegan(logger, source, message, details);
            }
        }
    }

    /// <summary>Removes an issue if the source has one of this kind.</summary>
    public void End(string kind, string source)
    {
        if (!_any)
        {
            return; // A fast path, because this is called for every line.
        }

        lock (_gate)
        {
            if (_all.Remove((kind, source)))
            {
                _any = _all.Count > 0;
                Log.HealthIssueEnded(logger, source, kind);
            }
        }
    }
}
