namespace InferenceBatch.Server.Diagnostics;

/// <summary>
/// What keeps lines from going on at this moment: the log tells how each begins and ends, <c>/healthz</c> that it lasts.
/// A batch that waits has nothing in OpenAI's shape to say it with.
/// </summary>
internal sealed class HealthIssues(TimeProvider time, ILogger logger)
{
    /// <summary>The upstream is away, refuses requests, or limits them: see the status of its control.</summary>
    public const string Upstream = "upstream";

    /// <summary>The disk is full or failing.</summary>
    public const string Storage = "storage";

    public const string StorageMessage = "Results cannot be stored: the disk is full or failing. What is running waits, and goes on when there is room.";

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Kind, string Who), HealthIssue> _all = [];
    private volatile bool _any;

    /// <summary>One of each kind, the first that began.</summary>
    public IReadOnlyList<HealthIssue> Now
    {
        get
        {
            lock (_gate)
            {
                return [.. _all.Values.GroupBy(issue => issue.Kind).Select(kind => kind.MinBy(issue => issue.Since)!)];
            }
        }
    }

    /// <summary>Notes a trouble, if it is none already.</summary>
    /// <param name="kind">One of the constants here.</param>
    /// <param name="who">Who has it, such as a batch's id.</param>
    /// <param name="message">See <see cref="HealthIssue.Message"/>.</param>
    /// <param name="details">For the log alone.</param>
    public void Begin(string kind, string who, string message, string details)
    {
        lock (_gate)
        {
            if (_all.TryAdd((kind, who), new HealthIssue(kind, message, time.GetUtcNow())))
            {
                _any = true;
                Log.TroubleBegan(logger, who, message, details);
            }
        }
    }

    /// <summary>Notes that it is over, if it was one.</summary>
    public void End(string kind, string who)
    {
        if (!_any)
        {
            return; // Asked for every line.
        }

        lock (_gate)
        {
            if (_all.Remove((kind, who)))
            {
                _any = _all.Count > 0;
                Log.TroubleEnded(logger, who, kind);
            }
        }
    }
}
