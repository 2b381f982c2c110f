namespace InferenceBatch.Model;

/// <summary>How many requests a batch holds and how many of them have an answer. <c>Completed</c> counts successes only.</summary>
public sealed record RequestCounts(long Total, long Completed, long Failed)
{
    public static RequestCounts None { get; } = new(0, 0, 0);

    /// <summary>Requests that have an answer, good or bad.</summary>
    public long Done => Completed + Failed;

    /// <summary>Done requests in percent of all, 0 to 100; 0 while the total is unknown.</summary>
    public int Percent => Total <= 0 ? 0 : (int)Math.Clamp(Done * 100 / Total, 0, 100);

    public override string ToString() => $"{Completed}/{Failed}/{Total}";
}
