namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Distinguishes lines that fail (500) together, because too many are in flight, from bad lines. A round is as many finished
/// attempts as there are lines in flight. If half of them fail, the round is an overload.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class FailureRounds
{
    /// <summary>The minimum number of attempts in a round: the share of failures among fewer attempts says little.</summary>
    private const int MinRoundSize = 8;

    /// <summary>How many rounds are remembered. That is enough, because a line that fails is judged again within a minute.</summary>
    private const int MaxRemembered = 1000;

    private readonly HashSet<long> _overloads = [];
    private int _attempts;
    private int _failures;

    /// <summary>The number of the round.</summary>
    public long Number { get; private set; } = 1;

    /// <summary>Whether a round was an overload.</summary>
    public bool WasOverload(long number) => _overloads.Contains(number);

    /// <summary>Call this for each answer.</summary>
    public void Answered() => _attempts++;

    /// <summary>Call this for each failure. Returns true if its round is an overload.</summary>
    /// <param name="inFlight">Lines in flight, including this one.</param>
    /// <param name="mayBeOverload">Whether an overload is possible.</param>
    public bool Failed(int inFlight, bool mayBeOverload)
    {
        int roundSize = Math.Max(MinRoundSize, inFlight);
        if (++_attempts > roundSize)
        {
            (Number, _attempts, _failures) = (Number + 1, 1, 0);
        }

        if (++_failures < roundSize / 2 || !mayBeOverload)
        {
            return false;
        }

        _overloads.RemoveWhere(number => number <= Number - MaxRemembered);
        _overloads.Add(Number);
        Restart();
        return true;
    }

    /// <summary>Starts a new round.</summary>
    public void Restart() => (Number, _attempts, _failures) = (Number + 1, 0, 0);
}
