namespace InferenceBatch.Runs;

/// <summary>Parts whose batches have ended, and when to fetch their results: at once, and later again where the service does not show them yet.</summary>
internal sealed class LateParts(TimeProvider time)
{
    private readonly List<(PlacedPart Part, TimeSpan Due)> _parts = [];
    private readonly long _began = time.GetTimestamp();

    /// <summary>How long until the next part is due; null when there is none.</summary>
    public TimeSpan? Next
    {
        get
        {
            if (_parts.Count == 0)
            {
                return null;
            }

            TimeSpan next = _parts.Min(one => one.Due) - Now;
            return next > TimeSpan.Zero ? next : TimeSpan.Zero;
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_began);

    /// <summary>Adds a part that is due after a time.</summary>
    public void Add(PlacedPart part, TimeSpan wait) => _parts.Add((part, Now + wait));

    /// <summary>Takes the parts that are due.</summary>
    public IReadOnlyList<PlacedPart> TakeDue()
    {
        TimeSpan now = Now;
        PlacedPart[] due = [.. _parts.Where(one => one.Due <= now).Select(one => one.Part)];
        _parts.RemoveAll(one => one.Due <= now);
        return due;
    }

    /// <summary>Takes all parts: nothing more is waited for.</summary>
    public IReadOnlyList<PlacedPart> TakeAll()
    {
        PlacedPart[] all = [.. _parts.Select(one => one.Part)];
        _parts.Clear();
        return all;
    }
}
