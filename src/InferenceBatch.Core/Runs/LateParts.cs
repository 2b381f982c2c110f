namespace InferenceBatch.Runs;

/// <summary>Parts whose batches have ended, and when to fetch their results: at once, and again later while the service does not show them.</summary>
internal sealed class LateParts(TimeProvider time)
{
    private readonly List<(PlacedPart Part, TimeSpan Due)> _parts = [];
    private readonly long _startedAt = time.GetTimestamp();

    /// <summary>The time until the next part is due; null if there is none.</summary>
    public TimeSpan? Next
    {
        get
        {
            if (_parts.Count == 0)
            {
                return null;
            }

            TimeSpan next = _parts.Min(part => part.Due) - Now;
            return next > TimeSpan.Zero ? next : TimeSpan.Zero;
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_startedAt);

    /// <summary>Adds a part that is due after a time.</summary>
    public void Add(PlacedPart part, TimeSpan wait) => _parts.Add((part, Now + wait));

    /// <summary>Takes the parts that are due.</summary>
    public IReadOnlyList<PlacedPart> TakeDue()
    {
        TimeSpan now = Now;
        PlacedPart[] due = [.. _parts.Where(part => part.Due <= now).Select(part => part.Part)];
        _parts.RemoveAll(part => part.Due <= now);
        return due;
    }

    /// <summary>Takes all parts, due or not.</summary>
    public IReadOnlyList<PlacedPart> TakeAll()
    {
        PlacedPart[] all = [.. _parts.Select(part => part.Part)];
        _parts.Clear();
        return all;
    }
}
