namespace InferenceBatch.Model;

/// <summary>The number of requests in a batch, and of those that have ended. <c>Completed</c> counts only successes.</summary>
public sealed record RequestCounts(long Total, long Completed, long Failed)
{
    public static RequestCounts None { get; } = new(0, 0, 0);

    /// <summary>The number of requests that have ended, successful or not.</summary>
    public long Done => Completed + Failed;

    /// <summary>The ended requests in percent, 0 to 100; 0 while the total is unknown.</summary>
    public int Percent => Total <= 0 ? 0 : (int)Math.Clamp(Done * 100 / Total, 0, 100);

    public override string ToString() => $"{Completed}/{Failed}/{Total}";
}
