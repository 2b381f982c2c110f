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

    private static readonly TimeSpan s_patienceAtFirst = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);

    private int _inARow;
    private TimeSpan _since;
    private bool _wasThere;

    /// <summary>Whether the last attempts, one after another, found nobody.</summary>
    public bool IsAway => _inARow >= Chance;

    /// <summary>After how long there is little hope left: sooner for one that never was there, whose address is likely wrong.</summary>
    public TimeSpan Patience => _wasThere ? s_patience : s_patienceAtFirst;

    /// <summary>Whether it is away for longer than <see cref="Patience"/>.</summary>
    public bool IsHopeless(TimeSpan now) => IsAway && now - _since >= Patience;

    /// <summary>An attempt found somebody.</summary>
    public void Reached()
    {
        _inARow = 0;
        _wasThere = true;
    }

    /// <summary>An attempt found nobody; gives how long nothing is to be sent, zero for not at all.</summary>
    /// <param name="now">The time, from any beginning.</param>
    /// <param name="hadConnection">Whether somebody took the connection and broke it.</param>
    public TimeSpan Missed(TimeSpan now, bool hadConnection)
    {
        _wasThere |= hadConnection;
        _since = _inARow++ == 0 ? now : _since;
        return !IsAway ? TimeSpan.Zero
            : TimeSpan.FromSeconds(Math.Min(s_longestWait.TotalSeconds, s_firstWait.TotalSeconds * Math.Pow(2, Math.Min(_inARow - Chance, 10))));
    }
}
