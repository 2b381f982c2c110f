namespace InferenceBatch.Server.Execution;

/// <summary>
/// Notices that an upstream is away (it refuses or breaks every connection), so that its return is waited for in place
/// of using up the attempts of every line within seconds: then only one line at a time is sent, after growing waits.
/// </summary>
/// <remarks>Not safe for several threads: the dispatcher's lock guards it.</remarks>
internal sealed class OutageGuard
{
    private const int Chance = 3;

    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(8);

    private int _inARow;

    /// <summary>Whether the last attempts, one after another, found nobody.</summary>
    public bool IsAway => _inARow >= Chance;

    /// <summary>An attempt found somebody.</summary>
    public void Reached() => _inARow = 0;

    /// <summary>An attempt found nobody; gives how long nothing is to be sent, zero for not at all.</summary>
    public TimeSpan Missed()
    {
        _inARow++;
        return !IsAway ? TimeSpan.Zero
            : TimeSpan.FromSeconds(Math.Min(s_longestWait.TotalSeconds, s_firstWait.TotalSeconds * Math.Pow(2, Math.Min(_inARow - Chance, 10))));
    }
}
